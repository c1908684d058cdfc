import { runMatrix } from "../../../behaviour/providers/matrix.ts";
import { ZITADEL } from "../../../behaviour/providers/zitadel.ts";

await runMatrix(ZITADEL);
