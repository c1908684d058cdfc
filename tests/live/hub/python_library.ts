import { fromFileUrl } from "@std/path";
import { mustRun } from "../../support/deno_process.ts";
import { serverBinary } from "../../support/servers/servers.ts";

const FOLDERS = ["./recipes/", "../../support/"].map((path) =>
  fromFileUrl(new URL(path, import.meta.url))
);

/**
 * The Python library with the store of the recipes: gives what an expression of `store`, its storage code, or
 * of `library` comes to, with the arguments `A`.
 */
export function pythonLibrary(
  backend: "helper" | "vault",
  options: object,
  env: Record<string, string> = {},
) {
  const variables = {
    PYTHONPATH: FOLDERS.join(":"),
    PYTHONDONTWRITEBYTECODE: "1",
    VM_OIDC_DENO_CREDENTIALS_BACKEND: backend,
    VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS: JSON.stringify(options),
    ...env,
  };
  return async (expression: string, ...args: unknown[]) => {
    const code = `
import json, sys
import validmind_store
validmind_store.install()
import validmind_library as library
from validmind import credentials_store as store
A = json.loads(sys.argv[1])
print(json.dumps(${expression}))`;
    const command = [await serverBinary("validmind-library"), "-c", code, JSON.stringify(args)];
    return JSON.parse(await mustRun(command, { env: variables, inheritEnv: true }));
  };
}
