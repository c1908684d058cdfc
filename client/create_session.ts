import { untilAborted } from "../backends/common/delay.ts";
import type { OidcCredentialsBackend } from "../backends/oidc_credentials_backend.ts";
import {
  getDefaultBackend,
  resolveCredentialsBackend,
} from "../backends/resolve_credentials_backend.ts";
import { credentialKey } from "./credential_key.ts";
import { bearerKind } from "./options/resolve_identity.ts";
import type { SessionOptions } from "./session_options.ts";
import type { PermissionNeed } from "./permission_need.ts";
import {
  apiNeeds,
  backendNeeds,
  ensureSelection,
  issuerNeeds,
  NeedList,
  preflight,
  variableNeeds,
} from "./permissions/preflight.ts";
import {
  checkSessionOptions,
  type ModelOptions,
  type ResolvedOptions,
  resolveOptions,
  withoutPlaceholder,
} from "./options/resolve_options.ts";
import type { Session } from "./session.ts";
import { SignedInSession } from "./signed_in/session.ts";
import { StoredCredential, TokenSource } from "./tokens/source.ts";

/** Loaded where the stored tokens do not serve. */
const loadRenewal = () => import("./tokens/renewal.ts");
/** Loaded where an option for the browser is given. */
const loadBrowserOptions = () => import("./options/browser_options.ts");
/** Loaded where a session drops permissions. */
const loadNeeds = () => import("./permissions/needs.ts");

/**
 * Signs in for any API behind an OpenID Provider: `init` without ping, model, ValidMind's headers and
 * active session.
 *
 * A valid stored token is used without any network, and an expired one is refreshed. Otherwise a
 * person is asked to sign in by the device flow
 * ([RFC 8628](https://www.rfc-editor.org/rfc/rfc8628)).
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
 * `flow_unsupported`, `device_code_denied`, `device_code_expired`, `prompt_failed`, `id_token_invalid`,
 * `id_token_missing`, `dpop_unsupported`, `credentials_not_stored`; or the signal's reason.
 * @throws {CredentialsBackendError} An error of the backend, or of its choice.
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
  const action = "create the session";
  checkSessionOptions(options, action, false);
  const variables = variableNeeds(withoutPlaceholder(options), false);
  await preflight(action, variables, "always");
  return await signIn(options, resolveOptions(options, action), { action, variables });
}

/** Options of {@linkcode signIn}, beside those of the session. */
interface SignInContext {
  /** The caller's action, as in "Cannot {action}". */
  action: string;
  /** The needs for variables, which were checked. */
  variables: readonly PermissionNeed[];
  /** Only for `init`. */
  modelOptions?: ModelOptions;
}

/** Signs in with checked options. */
export async function signIn(
  options: SessionOptions,
  resolved: ResolvedOptions,
  { action, variables, modelOptions }: SignInContext,
): Promise<SignedInSession> {
  const { identity, apiHost, interactive, runtime } = resolved;
  const { signal, onAuthorizationUrl, redirectUri, listen, loginHint, authorizationParameters } =
    options;
  signal?.throwIfAborted();
  const browserOptions = {
    onAuthorizationUrl,
    redirectUri,
    listen,
    loginHint,
    authorizationParameters,
  };
  if (redirectUri ?? listen ?? authorizationParameters) {
    const { checkBrowserOptions } = await loadBrowserOptions();
    checkBrowserOptions(options, action);
  }
  const needs = new NeedList(
    action,
    [...variables, ...apiNeeds(resolved)],
    () => issuerNeeds(resolved),
  );
  const session = {
    identity,
    apiHost,
    modelOptions,
    runtime,
    needs: async () => {
      const { sessionNeeds } = await loadNeeds();
      const call = modelOptions === undefined ? "createSession" : "init";
      return sessionNeeds(needs.all(), options, call);
    },
  };
  if (identity.kind === "api_key") {
    await needs.ensure();
    return new SignedInSession({ ...session, oidc: undefined });
  }
  const backend = await untilAborted(chooseBackend(options, needs), signal);
  await needs.ensure(backendNeeds(backend));
  const key = credentialKey(identity.issuer, identity.clientId, identity.audience, identity);
  const stored = new StoredCredential(backend, key);
  const bearer = bearerKind(options.bearer ?? "auto", identity.issuer);
  const tokens = new TokenSource({
    identity,
    stored,
    bearer,
    runtime,
    loadRenewal: async (held) => {
      const { TokenRenewal } = await loadRenewal();
      return new TokenRenewal({
        identity,
        stored,
        bearer,
        runtime,
        interactive,
        ask: {
          flow: identity.flow,
          onDeviceCode: options.onDeviceCode,
          openBrowser: options.openBrowser,
          ...browserOptions,
        },
        beforeProvider: () => needs.ensureSignIn(),
      }, held);
    },
  });
  await tokens.signIn(signal);
  return new SignedInSession({ ...session, oidc: { tokens, stored } });
}

/** Chooses the backend. If the environment chooses it, the variables are checked first. */
async function chooseBackend(
  { credentialsBackend, isolate }: SessionOptions,
  needs: NeedList,
): Promise<OidcCredentialsBackend> {
  if (credentialsBackend === undefined && getDefaultBackend() === undefined) {
    await ensureSelection((more) => needs.ensure(more));
  }
  return await resolveCredentialsBackend(
    credentialsBackend,
    isolate === undefined ? {} : { isolate },
  );
}
