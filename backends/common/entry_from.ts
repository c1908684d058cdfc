import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { OidcCredentials, OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import { describeBackend } from "./describe_backend.ts";
import { rememberEntry } from "./foreign_error.ts";
import { SIGN_OUT } from "./sign_out_words.ts";

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
  const isObject = typeof given === "object";
  if (isObject && Object.prototype.toString.call(given) === "[object Object]") {
    rememberEntry(given);
    return { ...given };
  }
  const found = isObject ? "an array, bytes or the like" : `a ${typeof given}`;
  throw new CredentialsBackendError("backend_corrupt", {
    action: `read credentials from ${describeBackend(backend)}`,
    reason: `its get() gave ${found}, not an entry`,
    remedy: "Nothing was changed. Let get() give the object that put() got. If only this entry " +
      `is damaged, remove it with ${SIGN_OUT}.`,
    signOut: "entry",
  });
}
