import { KEYCLOAK } from "./keycloak.ts";
import { runMatrix } from "./matrix.ts";

await runMatrix(KEYCLOAK);
