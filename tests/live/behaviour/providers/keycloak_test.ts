import { hasChromium } from "../../../support/chromium.ts";
import { KEYCLOAK } from "../../../behaviour/providers/keycloak.ts";
import { runMatrix } from "../../../behaviour/providers/matrix.ts";
import { CHROMIUM_ROWS, KEYCLOAK_ROWS } from "../../../behaviour/providers/rows/keycloak.ts";

await runMatrix(KEYCLOAK, { ...KEYCLOAK_ROWS, ...(hasChromium && CHROMIUM_ROWS) });
