import type { OidcCredentialsBackend } from "../backends/oidc_credentials_backend.ts";
import type { AuthEvent } from "./auth_event.ts";
import type { ClearOptions, ClearResult } from "./clear_result.ts";
import { signIn } from "./create_session.ts";
import { ValidMindAuthError } from "./errors.ts";
import type { InitOptions } from "./session_options.ts";
import { preflight, variableNeeds } from "./permissions/preflight.ts";
import {
  checkOptionNames,
  checkOptionTypes,
  resolveInitOptions,
  withoutPlaceholder,
} from "./options/resolve_options.ts";
import type { ClientInfo, Session } from "./session.ts";
import type { SignedInSession } from "./signed_in/session.ts";

/**
 * Signs in to ValidMind, pings its API, and makes the session the process's active one: what a
 * notebook or a script begins with.
 *
 * A valid stored token is used without a word to the provider; one that has ended is refreshed;
 * else a person is asked to sign in by the device flow
 * ([RFC 8628](https://www.rfc-editor.org/rfc/rfc8628)): a link and a code are shown, in the notebook
 * cell or on standard error. What is not given comes from the `VM_*` variables. With `apiKey` and
 * `apiSecret` nobody signs in, and the key goes on the requests.
 *
 * Needs `--allow-net` for the API's host, and unless a valid token is stored for the issuer's host
 * (and those of the endpoints that it names elsewhere); what the backend needs; and `--allow-env`
 * for the variables of options that are not given.
 *
 * @param options Who signs in, for which model, and where the tokens are kept.
 * @returns The session.
 * @throws {MissingApiCredentialsError} Neither an API key nor issuer and client id.
 * @throws {MissingModelIdError} No model.
 * @throws {ValidMindAuthError} `invalid_options`, `insecure_url`, `conflicting_credentials` and
 * `permission_required` before any work; then as `createSession`, and `api_unreachable`.
 * @throws {ApiError} When the API refuses the ping. The tokens stay stored.
 * @throws {CredentialsBackendError} What the backend, or the choice of it, reports.
 *
 * @example
 * ```ts
 * import * as vm from "@validmind/auth";
 *
 * const session = await vm.init({ model: "cl123" }); // the rest from the environment
 * const status = await session.status();
 * ```
 */
export async function init(options: InitOptions = {}): Promise<Session> {
  const action = "sign in to ValidMind";
  checkOptionNames(options, true);
  checkOptionTypes(options, action);
  const variables = variableNeeds(withoutPlaceholder(options), true);
  await preflight(action, variables, "always");
  const resolved = resolveInitOptions(options, action);
  const context = { action, needs: variables, modelOptions: resolved };
  const session = await signIn(options, resolved, context);
  const { ping } = await import("./api/client.ts");
  await ping(session, options.signal);
  setActiveSession(session);
  return session;
}

let activeSession: SignedInSession | undefined;

/** Makes a session the process's active one; `undefined` leaves none. */
export function setActiveSession(session: SignedInSession | undefined): void {
  activeSession = session;
}

/** The active session, or `undefined`. */
export function peekActiveSession(): SignedInSession | undefined {
  return activeSession;
}

/**
 * The session of the last `init()` in this process: for code that is called by a script which has
 * signed in.
 *
 * Needs no permission.
 *
 * @returns The session.
 * @throws {ValidMindAuthError} `no_active_session` before `init()` and after
 * `clearOidcCredentials()`.
 *
 * @example
 * ```ts
 * import { getSession, init } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * const session = await init({ model: "cl123" });
 * assertEquals(getSession(), session);
 * ```
 */
export function getSession(): Session {
  return active("give the session");
}

/**
 * Pings the API again and renews what the active session knows of the model.
 *
 * Needs `--allow-net` for the API's host, and for a refresh what `init` needs.
 *
 * @returns What the API said.
 * @throws {ValidMindAuthError} `no_active_session`, `api_unreachable`, and as
 * `Session.accessToken`.
 * @throws {ApiError} When the API refuses.
 *
 * @example
 * ```ts
 * import { init, reload } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * await init({ model: "cl123" });
 * const info = await reload();
 * assertEquals(info.documentType, "model_documentation");
 * ```
 */
export async function reload(): Promise<ClientInfo> {
  const session = active("reload");
  const { ping } = await import("./api/client.ts");
  return await ping(session);
}

function active(action: string): SignedInSession {
  if (activeSession !== undefined) return activeSession;
  throw new ValidMindAuthError(
    "no_active_session",
    `Cannot ${action}: nobody is signed in here. Call init() first.`,
  );
}

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
  const { signOut } = await import("./signed_in/sign_out.ts");
  return await signOut(options);
}
