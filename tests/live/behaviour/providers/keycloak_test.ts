import { KEYCLOAK } from "../../../behaviour/providers/keycloak.ts";
import { KEYCLOAK_ROWS } from "../../../behaviour/providers/keycloak_rows.ts";
import { runMatrix } from "../../../behaviour/providers/matrix.ts";

await runMatrix(KEYCLOAK, KEYCLOAK_ROWS);
