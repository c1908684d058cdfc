import { corruptEntry, CredentialsBackendError } from "../credentials_backend_error.ts";
import type { OidcCredentials, OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import { describeBackend } from "./describe_backend.ts";
import { backendError, rememberEntry } from "./foreign_error.ts";

/**
 * A copy of the entry that a backend gave; `undefined` for none. Something else, such as an entry's text
 * or bytes, is an error: taken for an entry without tokens, it would have people sign in over it.
 */
export function entryFrom(
  backend: OidcCredentialsBackend,
  given: OidcCredentials | null | undefined,
): OidcCredentials | undefined {
  if (given === undefined || given === null) return undefined;
  // Tells bytes, a Map and the like from an object of fields.
  if (Object.prototype.toString.call(given) !== "[object Object]") {
    const found = typeof given === "object" ? "an array, bytes or the like" : `a ${typeof given}`;
    const advice =
      "Let get() give the object that put() got. If only this entry is damaged, remove it";
    const action = `read credentials from ${describeBackend(backend)}`;
    throw corruptEntry(action, `its get() gave ${found}, not an entry`, advice);
  }
  rememberEntry(given);
  return { ...given };
}

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
  if (!backend.list) {
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
