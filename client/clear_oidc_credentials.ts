import type { ClearResult } from "./clear_result.ts";
import type { ClearOidcCredentialsOptions } from "./session_options.ts";

/** Loaded where somebody signs out. */
const loadSignOut = () => import("./signed_in/sign_out.ts");

/**
 * Signs out: removes the stored tokens, and with `revoke` asks the provider to end them too. The
 * entry is gone from the backend whatever the network does, and also from a store that cannot be
 * understood (a damaged credentials file is deleted whole). Works without `init()`: the entry is then found as `init()` would find it.
 *
 * Needs what the backend needs, `--allow-env` for the variables of options that are not given, and
 * with `revoke` `--allow-net` for the issuer's host.
 *
 * @param options Whose tokens, and whether they are revoked.
 * @returns What was removed, and what became of the revocation.
 * @throws {ValidMindAuthError} `invalid_options`, `missing_api_credentials`, `insecure_url`,
 * `permission_required`.
 * @throws {CredentialsBackendError} What the backend reports; `backend_no_list` for `all` on one
 * that cannot list its keys.
 *
 * @example
 * ```ts
 * import { clearOidcCredentials, init } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * await init({ model: "cl123" });
 * const { keys, revocation } = await clearOidcCredentials({ revoke: true });
 * assertEquals(keys.length, 1);
 * assertEquals(revocation, "revoked");
 * ```
 */
export async function clearOidcCredentials(
  options: ClearOidcCredentialsOptions = {},
): Promise<ClearResult> {
  const { signOut } = await loadSignOut();
  return await signOut(options);
}
