import { KEYCLOAK } from "./keycloak.ts";
import { KEYCLOAK_ROWS } from "./keycloak_rows.ts";
import { runMatrix } from "./matrix.ts";

await runMatrix(KEYCLOAK, KEYCLOAK_ROWS);
