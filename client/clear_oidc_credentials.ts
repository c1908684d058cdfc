import type { ClearResult } from "./clear_result.ts";
import type { ClearOidcCredentialsOptions } from "./session_options.ts";

/** Loaded where somebody signs out. */
const loadSignOut = () => import("./signed_in/sign_out.ts");

/**
 * Signs out: removes the stored tokens, and with `revoke` asks the provider to revoke them. The entry
 * is removed from the backend even if the network fails, or if the entry itself cannot be read. A
 * corrupt store is an error and stays, since it may be another program's file; `all` removes it.
 * Without a session of `init()` the entry is found by the rules of `init()`.
 *
 * Needs the permissions of the backend, `--allow-env` for the variables of absent options, and with
 * `revoke` `--allow-net` for the issuer's host.
 *
 * @param options The credentials, and whether to revoke them.
 * @returns The removed keys, and the outcome of the revocation.
 * @throws {ValidMindAuthError} `invalid_options`, `missing_api_credentials`, `insecure_url`,
 * `permission_required`.
 * @throws {CredentialsBackendError} An error of the backend; `backend_corrupt` for a corrupt store
 * without `all`; `backend_no_list` for `all` with a backend that cannot list its keys.
 * @category Sign in
 *
 * @example
 * ```ts
 * import { clearOidcCredentials, init } from "@validmind/auth";
 * import { assert, assertEquals } from "@std/assert";
 *
 * await init({ model: "cl123" });
 * const { keys, revocation } = await clearOidcCredentials({ revoke: true });
 * assert(keys.length >= 1); // one more for tokens that are bound to a key
 * assertEquals(revocation, "revoked");
 * ```
 */
export async function clearOidcCredentials(
  options: ClearOidcCredentialsOptions = {},
): Promise<ClearResult> {
  const { signOut } = await loadSignOut();
  return await signOut(options);
}
