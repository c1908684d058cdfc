import { runMatrix } from "./matrix.ts";
import { ZITADEL } from "./zitadel.ts";

await runMatrix(ZITADEL);
