import {
  type EnvReader,
  envReader,
  isDenoSupported,
  isGranted,
  netHost,
} from "../backends/common/platform.ts";
import { plainBackend } from "../backends/resolve_credentials_backend.ts";
import {
  bearerKind,
  credentialKey,
  DEFAULT_SCOPE,
  normalizeClientId,
  normalizeIssuer,
} from "./entry.ts";
import type { OidcIdentity } from "./options/identity.ts";
import type { Runtime } from "./options/runtime.ts";
import type { PreparedSession, SessionNeeds } from "./permissions/prepare_session.ts";
import type { Session, StartedSignIn } from "./session.ts";
import type { SessionOptions } from "./session_options.ts";
import { SignedInSession } from "./signed_in/session.ts";
import { StoredCredential, TokenSource } from "./tokens/source.ts";

/** Loaded where something waits. */
const loadDelay = () => import("../backends/common/promises.ts");
/** Loaded where a start is not plain, or its permissions are needed later. */
const loadPrepare = () => import("./permissions/prepare_session.ts");
/** Loaded where a sign-in has two steps. */
const loadTwoSteps = () => import("./sign_in/two_steps.ts");
/** Loaded where the stored tokens do not serve. */
const loadRenewal = () => import("./tokens/renewal.ts");
/** Loaded where a notebook says who is signed in. */
const loadPrompt = () => import("./prompt/open_prompt.ts");
/** Loaded where the client signs in itself. */
const loadClientRenewal = () => import("./tokens/client_renewal.ts");

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
  return await openSession(plainSession(options) ?? await prepare(options));
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

async function prepare(options: SessionOptions): Promise<PreparedSession> {
  const { prepareSession } = await loadPrepare();
  return await prepareSession(options, "createSession");
}

/** The result of `prepareSession` for a start with nothing unusual in it; `undefined` elsewhere. */
function plainSession(options: SessionOptions): PreparedSession | undefined {
  const readEnv = envReader();
  const resolved = plainOptions(options, readEnv);
  // In this order: a start that names its backend reads no variable of the default one.
  const backend = resolved && plainBackend(readEnv);
  if (resolved === undefined || backend === undefined) return undefined;
  const needs = async (): Promise<SessionNeeds> => {
    const { plainNeeds } = await loadPrepare();
    return plainNeeds(options, resolved, backend);
  };
  // Most refreshes do without the code that asks for permissions.
  const mayRefresh = () => {
    const host = netHost(new URL(resolved.identity.issuer));
    return [{ name: "net", host } as const, ...backend.requiredPermissions()]
      .every(isGranted);
  };
  return { options, resolved, backend, needs, mayRefresh };
}

/**
 * The variables that a plain start finds unset, or may not read: each changes something that only
 * `resolveOptions` knows. The variables of the backend's choice are not among them.
 */
export const UNUSUAL_VARIABLES: readonly string[] = [
  "VM_API_KEY",
  "VM_API_SECRET",
  "VM_API_HOST",
  "VM_API_URL",
  "VM_API_TIMEOUT",
  "VM_OIDC_AUDIENCE",
  "VM_OIDC_FLOW",
  "VM_OIDC_INTERACTIVE",
  "VM_OIDC_PROFILE",
  "VM_OIDC_SCOPE",
];

/** An `https:` URL of host, port and path alone, or one on this computer. */
const PLAIN_URL = /^(https:\/\/|http:\/\/(localhost|127\.0\.0\.1|\[::1\])(?=[:/]))[^\s?#@\\|]+$/;

/** The options of a plain start with their defaults. */
export interface PlainOptions {
  readonly identity: OidcIdentity;
  readonly interactive: boolean;
  readonly runtime: Runtime;
}

/**
 * The result of `resolveOptions` for options that name an issuer and a client and nothing else.
 * `undefined` where anything is unusual or wrong: then `prepareSession` checks all options.
 */
export function plainOptions(
  options: SessionOptions,
  readEnv: EnvReader,
): PlainOptions | undefined {
  if (options?.constructor !== Object || !isDenoSupported()) return undefined;
  for (const name in options) if (name !== "issuer" && name !== "clientId") return undefined;
  for (const name of UNUSUAL_VARIABLES) if (readEnv(name)) return undefined;
  let issuer, clientId;
  try {
    ({ issuer = readEnv("VM_OIDC_ISSUER"), clientId = readEnv("VM_OIDC_CLIENT_ID") } = options);
  } catch {
    return undefined; // a getter throws
  }
  if (typeof issuer !== "string" || typeof clientId !== "string") return undefined;
  const url = normalizeIssuer(issuer);
  const client = normalizeClientId(clientId);
  const isPlain = PLAIN_URL.test(url) && URL.canParse(url) && client !== "" &&
    !client.includes("|");
  if (!isPlain) return undefined;
  return {
    identity: { kind: "oidc", issuer: url, clientId: client, scope: DEFAULT_SCOPE },
    interactive: true,
    runtime: {
      fetch: globalThis.fetch,
      now: Date.now,
      elapsed: () => performance.now(),
      delay: async (ms, signal) => await (await loadDelay()).delay(ms, signal),
      timeoutMs: 30_000,
    },
  };
}

/** Signs in with checked options. */
export async function openSession(prepared: PreparedSession): Promise<SignedInSession> {
  const { options, resolved, modelOptions, backend, needs, mayRefresh } = prepared;
  const { identity, apiHost, interactive, runtime } = resolved;
  const session = { identity, apiHost, modelOptions, runtime, needs };
  if (identity.kind === "api_key" || backend === undefined) {
    return new SignedInSession({ ...session, oidc: undefined });
  }
  const key = credentialKey(identity.issuer, identity.clientId, identity.audience, identity);
  const stored = new StoredCredential(backend, key);
  const bearer = bearerKind(options.bearer ?? "auto", identity.issuer, identity.flow);
  const common = { identity, stored, bearer, runtime };
  const tokens = new TokenSource({
    ...common,
    loadRenewal: async (held) => {
      const beforeProvider = async () => {
        if (!mayRefresh?.()) await (await needs()).ensureSignIn();
      };
      if (identity.flow === "client_credentials") {
        const { ClientRenewal } = await loadClientRenewal();
        return new ClientRenewal({ identity, stored, runtime, beforeProvider }, held);
      }
      const { TokenRenewal } = await loadRenewal();
      return new TokenRenewal({
        ...common,
        interactive,
        ask: { ...options, flow: identity.flow },
        beforeProvider,
      }, held);
    },
  });
  const hasAsked = await tokens.signIn(options.signal);
  const signedIn = new SignedInSession({ ...session, oidc: { tokens, stored } });
  if (!hasAsked && interactive && isInNotebook()) {
    const { showStored } = await loadPrompt();
    await showStored(signedIn, options);
  }
  return signedIn;
}

/** As `notebook()` of the prompt, which a start does not load. */
function isInNotebook(): boolean {
  try {
    return Deno.jupyter !== undefined;
  } catch {
    return false;
  }
}
