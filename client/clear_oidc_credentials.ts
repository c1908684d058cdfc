import type { OidcCredentialsBackend } from "../backends/oidc_credentials_backend.ts";
import type { AuthEvent } from "./auth_event.ts";
import type { ClearOptions, ClearResult } from "./clear_result.ts";

/** Options of `clearOidcCredentials`. */
export interface ClearOidcCredentialsOptions extends ClearOptions {
  /**
   * Clears every entry of the backend, whoever's it is: all that `list()` names, or, where the store
   * cannot be understood, the store.
   *
   * @default false
   */
  all?: boolean;
  /**
   * Whose entry to clear.
   *
   * @default that of the active session, or VM_OIDC_ISSUER
   */
  issuer?: string;
  /**
   * The client id of the entry.
   *
   * @default that of the active session, or VM_OIDC_CLIENT_ID
   */
  clientId?: string;
  /**
   * Secret of the client, for a provider that wants it to revoke tokens. With `all` it goes only to
   * the client that issuer and clientId, or what they default to, name.
   *
   * @default that of the active session if neither issuer nor clientId is given, or
   * VM_OIDC_CLIENT_SECRET, as in `init()`
   */
  clientSecret?: string;
  /**
   * The audience of the entry, if it has one.
   *
   * @default that of the active session if neither issuer nor clientId is given, or VM_OIDC_AUDIENCE
   */
  audience?: string;
  /**
   * The profile of the entry, if it has one.
   *
   * @default that of the active session if neither issuer nor clientId is given, or VM_OIDC_PROFILE
   */
  profile?: string;
  /**
   * Where the entry is.
   *
   * @default that of the active session, or what `init()` would use
   */
  credentialsBackend?: OidcCredentialsBackend;
  /**
   * Runs a third-party backend that the environment names in a Worker with these permissions and no
   * others: see `loadBackendFromEnv`.
   *
   * @default the backend runs in this process, with its permissions
   */
  isolate?: Deno.PermissionOptionsObject;
  /**
   * Makes the requests of a revocation.
   *
   * @default globalThis.fetch
   */
  fetch?: typeof globalThis.fetch;
  /**
   * Longest time for one request of a revocation, in milliseconds.
   *
   * @default 30_000
   */
  timeoutMs?: number;
  /** Is told what was cleared, for a log: see the option of the same name of `init`. */
  onEvent?: (event: AuthEvent) => void;
}

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
  const { signOut } = await import("./sign_out.ts");
  return await signOut(options);
}
