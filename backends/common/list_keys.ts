import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import { describeBackend } from "./describe_backend.ts";
import { backendError } from "./foreign_error.ts";

/**
 * All keys of a store, in their order, with those of probe entries.
 *
 * @param instead The way out for a store that cannot list them.
 */
export async function listKeys(
  backend: OidcCredentialsBackend,
  instead: string,
): Promise<string[]> {
  const action = "list credentials in";
  if (backend.list === undefined) {
    throw new CredentialsBackendError("backend_no_list", {
      action: `${action} ${describeBackend(backend)}`,
      reason: "it cannot list its keys",
      remedy: instead,
    });
  }
  try {
    return (await Array.fromAsync(backend.list())).sort();
  } catch (error) {
    throw backendError(action, backend, error);
  }
}
