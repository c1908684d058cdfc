import { setActiveSession } from "./active_session.ts";
import { checkOptionNames, checkOptionTypes } from "./check_option_types.ts";
import { envNeeds } from "./env_needs.ts";
import { hostNeeds } from "./host_needs.ts";
import type { InitOptions } from "./init_options.ts";
import { preflight } from "./preflight.ts";
import { resolveInitOptions, withoutPlaceholder } from "./resolve_options.ts";
import type { Session } from "./session.ts";
import { signIn } from "./sign_in.ts";

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
  const needs = [...variables, ...hostNeeds(resolved)];
  const session = await signIn(options, resolved, { action, needs, modelOptions: resolved });
  const { ping } = await import("./ping.ts");
  await ping(session, options.signal);
  setActiveSession(session);
  return session;
}
