import { runMatrix } from "./matrix.ts";
import { OIDC_PROVIDER } from "./oidc_provider.ts";

await runMatrix(OIDC_PROVIDER);
