import { runMatrix } from "./matrix.ts";
import { AUTHLIB } from "./authlib.ts";

await runMatrix(AUTHLIB);
