import { signIn } from "./create_session.ts";
import { ValidMindAuthError } from "./errors.ts";
import type { InitOptions } from "./session_options.ts";
import { preflight, variableNeeds } from "./permissions/preflight.ts";
import {
  checkSessionOptions,
  resolveInitOptions,
  withoutPlaceholder,
} from "./options/resolve_options.ts";
import type { ClientInfo, Session } from "./session.ts";
import { peekActiveSession, setActiveSession, type SignedInSession } from "./signed_in/session.ts";

/** Loaded with the first request. */
const loadApi = () => import("./api/client.ts");

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
  checkSessionOptions(options, action, true);
  const variables = variableNeeds(withoutPlaceholder(options), true);
  await preflight(action, variables, "always");
  const resolved = resolveInitOptions(options, action);
  const context = { action, needs: variables, modelOptions: resolved };
  const session = await signIn(options, resolved, context);
  await ping(session, options.signal);
  setActiveSession(session);
  return session;
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
  return await ping(active("reload"));
}

/** Asks the API for the model's information and keeps it on the session. */
async function ping(session: SignedInSession, signal?: AbortSignal): Promise<ClientInfo> {
  const answer = await session.get("ping", {}, signal === undefined ? {} : { signal });
  const { readClientInfo } = await loadApi();
  session.info = readClientInfo(answer);
  return session.info;
}

function active(action: string): SignedInSession {
  const session = peekActiveSession();
  if (session !== undefined) return session;
  throw new ValidMindAuthError(
    "no_active_session",
    `Cannot ${action}: nobody is signed in here. Call init() first.`,
  );
}
