import { notebook } from "../backends/common/platform.ts";
import { bearerKind, credentialKey } from "./entry.ts";
import { type PreparedSession, prepareSession } from "./permissions/prepare_session.ts";
import type { Session, StartedSignIn } from "./session.ts";
import type { SessionOptions } from "./session_options.ts";
import { SignedInSession } from "./signed_in/session.ts";
import { StoredCredential, TokenSource } from "./tokens/source.ts";

/** Loaded where a sign-in has two steps. */
const loadTwoSteps = () => import("./sign_in/two_steps.ts");
/** Loaded where the stored tokens do not serve. */
const loadRenewal = () => import("./tokens/renewal.ts");
/** Loaded where a notebook says who is signed in. */
const loadPrompt = () => import("./prompt/open_prompt.ts");

/**
 * Signs in for any API behind an OpenID Provider: `init` without ping, model, ValidMind's headers and
 * active session.
 *
 * A valid stored token is used without any network, and an expired one is refreshed. Otherwise a
 * person is asked to sign in by the device flow
 * ([RFC 8628](https://www.rfc-editor.org/rfc/rfc8628)), or in the way that `flow` names. With
 * `flow: "client_credentials"` nobody is asked: the client gets a token for itself.
 *
 * Needs `--allow-net` for the issuer's host and the hosts of its endpoints, unless a valid token is
 * stored; `--allow-net` for the API's host, if one is given; the permissions of the backend; and
 * `--allow-env` for the variables of absent options. {@linkcode requiredPermissions} lists them.
 *
 * @param options The identity, the API and the backend.
 * @returns The session.
 * @throws {ValidMindAuthError} `invalid_options`, `insecure_url`, `missing_api_credentials`,
 * `conflicting_credentials` and `permission_required` before any work; `login_required`,
 * `provider_unavailable`, `provider_refused`, `provider_invalid`, `device_flow_unsupported`,
 * `flow_unsupported`, `client_auth_unusable`, `device_code_denied`, `device_code_expired`,
 * `authorization_denied`, `authorization_expired`, `redirect_unavailable`, `prompt_failed`, `id_token_invalid`,
 * `id_token_missing`, `dpop_unsupported`, `credentials_not_stored`; or the signal's reason.
 * @throws {CredentialsBackendError} `runtime_unsupported`; an error of the backend, or of its choice.
 * @category Sign in
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
  return await openSession(await prepareSession(options, "createSession"));
}

/**
 * Starts a sign-in in the browser whose end is a call of its own: see {@linkcode StartedSignIn}. Needs
 * the permissions of {@linkcode createSession} with `flow: "browser"`, and throws its errors.
 *
 * @param options As for {@linkcode createSession}.
 * @returns The sign-in, once its link is shown.
 * @category Sign in
 *
 * @example
 * ```ts
 * import { startSignIn } from "@validmind/auth";
 *
 * await using signIn = await startSignIn();
 * // The next cell: const session = await signIn.finish("<the address of the last page>");
 * ```
 */
export async function startSignIn(options: SessionOptions = {}): Promise<StartedSignIn> {
  const { startInBrowser } = await loadTwoSteps();
  return await startInBrowser(createSession, options);
}

/** Signs in with checked options. */
export async function openSession(prepared: PreparedSession): Promise<SignedInSession> {
  const { options, resolved, backend, needs } = prepared;
  const { identity, interactive, runtime } = resolved;
  if (identity.kind === "api_key" || backend === undefined) {
    return new SignedInSession({ ...resolved, needs, tokens: undefined });
  }
  const key = credentialKey(identity.issuer, identity.clientId, identity.audience, identity);
  const stored = new StoredCredential(backend, key);
  const bearer = bearerKind(options.bearer ?? "auto", identity.issuer, identity.flow);
  const asks = interactive && identity.flow !== "client_credentials";
  const tokens = new TokenSource({
    identity,
    stored,
    bearer,
    runtime,
    ask: asks ? { ...options, flow: identity.flow } : undefined,
    beforeProvider: needs.ensureSignIn,
    loadRenewal: async (options, held) => {
      const { TokenRenewal } = await loadRenewal();
      return new TokenRenewal(options, held);
    },
  });
  const hasAsked = await tokens.signIn(options.signal);
  const signedIn = new SignedInSession({ ...resolved, needs, tokens });
  if (!hasAsked && interactive && notebook() !== undefined) {
    const { showStored } = await loadPrompt();
    await showStored(signedIn, options);
  }
  return signedIn;
}
