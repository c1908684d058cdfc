import { hasChromium } from "../../support/chromium.ts";
import { KEYCLOAK } from "./keycloak.ts";
import { runMatrix } from "./matrix.ts";
import { CHROMIUM_ROWS, KEYCLOAK_ROWS } from "./rows/keycloak.ts";

await runMatrix(KEYCLOAK, { ...KEYCLOAK_ROWS, ...(hasChromium && CHROMIUM_ROWS) });
