import { runMatrix } from "../../../behaviour/providers/matrix.ts";
import { AUTHLIB } from "../../../behaviour/providers/authlib.ts";

await runMatrix(AUTHLIB);
