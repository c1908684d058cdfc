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
  checkSessionOptions(options, action, false);
  const variables = variableNeeds(withoutPlaceholder(options), false);
  await preflight(action, variables, "always");
  const resolved = resolveOptions(options, action);
  return await signIn(options, resolved, { action, needs: variables });
}

/** What {@linkcode signIn} is told beside the options. */
interface SignInContext {
  /** What fails if it fails, as in "Cannot {action}". */
  action: string;
  /** What has been made sure of: the variables. */
  needs: PermissionNeed[];
  /** Only for `init`. */
  modelOptions?: ModelOptions;
}

/** Signs in with options that have been checked, and gives the session. */
export async function signIn(
  options: SessionOptions,
  resolved: ResolvedOptions,
  { action, needs, modelOptions }: SignInContext,
): Promise<SignedInSession> {
  const { identity, apiHost, interactive, runtime } = resolved;
  const { signal } = options;
  signal?.throwIfAborted();
  needs.push(...apiNeeds(resolved));
  const known = needs.length; // the issuer's host follows the API's, as in requiredPermissions
  const all = () => needs.toSpliced(known, 0, ...issuerNeeds(resolved));
  const ensure = async (more: PermissionNeed[]) => {
    needs.push(...more);
    await preflight(action, needs, "always", all);
  };
  const session = {
    identity,
    apiHost,
    modelOptions,
    runtime,
    needs: async () => {
      const { sessionNeeds } = await import("./permissions/needs.ts");
      return sessionNeeds(all(), options, modelOptions === undefined ? "createSession" : "init");
    },
  };
  if (identity.kind === "api_key") {
    await ensure([]);
    return new SignedInSession({ ...session, oidc: undefined });
  }
  const backend = await untilAborted(chooseBackend(options, ensure), signal);
  await ensure(backendNeeds(backend));
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
        ask: { onDeviceCode: options.onDeviceCode, openBrowser: options.openBrowser ?? false },
        beforeProvider: () => preflight(action, all(), "sign_in"),
      }, held);
    },
  });
  await tokens.signIn(signal);
  return new SignedInSession({ ...session, oidc: { tokens, stored } });
}

/** The variables that choose a backend are made sure of first, unless nothing has to be chosen. */
async function chooseBackend(
  { credentialsBackend, isolate }: SessionOptions,
  ensure: (needs: PermissionNeed[]) => Promise<void>,
): Promise<OidcCredentialsBackend> {
  if (credentialsBackend === undefined && getDefaultBackend() === undefined) {
    await ensureSelection(ensure);
  }
  return await resolveCredentialsBackend(
    credentialsBackend,
    isolate === undefined ? {} : { isolate },
  );
}
