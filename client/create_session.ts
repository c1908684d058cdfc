import { checkOptionNames, checkOptionTypes } from "./check_option_types.ts";
import { envNeeds } from "./env_needs.ts";
import { hostNeeds } from "./host_needs.ts";
import type { SessionOptions } from "./init_options.ts";
import { preflight } from "./preflight.ts";
import { resolveOptions, withoutPlaceholder } from "./resolve_options.ts";
import type { Session } from "./session.ts";
import { signIn } from "./sign_in.ts";

/**
 * Signs in for any API behind an OpenID Provider: `init` without ping, model, ValidMind's headers or
 * an active session.
 *
 * A valid stored token is used without any network; one that has ended is refreshed; else a person
 * is asked to sign in by the device flow ([RFC 8628](https://www.rfc-editor.org/rfc/rfc8628)).
 *
 * Needs `--allow-net` for the issuer's host (and those of the endpoints that it names elsewhere)
 * unless a valid token is stored, `--allow-net` for the API's host where one is given, what the
 * backend needs, and `--allow-env` for the variables of options that are not given.
 *
 * @param options Who signs in, where, and where the tokens are kept.
 * @returns The session.
 * @throws {ValidMindAuthError} `invalid_options`, `insecure_url`, `missing_api_credentials`,
 * `conflicting_credentials` and `permission_required` before any work; `login_required`,
 * `provider_unavailable`, `provider_refused`, `provider_invalid`, `device_flow_unsupported`,
 * `device_code_denied`, `device_code_expired`, `prompt_failed`, `id_token_invalid`,
 * `id_token_missing`, `dpop_unsupported`, `credentials_not_stored`; or the signal's reason.
 * @throws {CredentialsBackendError} What the backend, or the choice of it, reports.
 *
 * @example
 * ```ts
 * import { createSession, MemoryCredentialsBackend } from "@validmind/auth";
 *
 * await using session = await createSession({
 *   // issuer and clientId come from VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID
 *   credentialsBackend: new MemoryCredentialsBackend(),
 * });
 * const request = new Request("https://api.example.com/things", {
 *   headers: { authorization: `Bearer ${await session.accessToken()}` },
 * });
 * ```
 */
export async function createSession(options: SessionOptions = {}): Promise<Session> {
  const action = "create the session";
  checkOptionNames(options, false);
  checkOptionTypes(options, action);
  const variables = envNeeds(withoutPlaceholder(options), "createSession");
  await preflight(action, variables, "always");
  const resolved = resolveOptions(options, action);
  return await signIn(options, resolved, {
    action,
    needs: [...variables, ...hostNeeds(resolved)],
  });
}
