import { checkOptionNames, checkOptionTypes } from "./check_option_types.ts";
import { signIn } from "./create_session.ts";
import { ValidMindAuthError } from "./errors.ts";
import type { InitOptions } from "./init_options.ts";
import { envNeeds, preflight } from "./preflight.ts";
import { resolveInitOptions, withoutPlaceholder } from "./resolve_options.ts";
import type { ClientInfo, Session } from "./session.ts";
import type { SignedInSession } from "./signed_in_session.ts";

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
  const variables = envNeeds(withoutPlaceholder(options), "init");
  await preflight(action, variables, "always");
  const resolved = resolveInitOptions(options, action);
  const context = { action, needs: variables, modelOptions: resolved };
  const session = await signIn(options, resolved, context);
  const { ping } = await import("./ping.ts");
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
  const { ping } = await import("./ping.ts");
  return await ping(session);
}

function active(action: string): SignedInSession {
  if (activeSession !== undefined) return activeSession;
  throw new ValidMindAuthError(
    "no_active_session",
    `Cannot ${action}: nobody is signed in here. Call init() first.`,
  );
}
