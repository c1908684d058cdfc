import { isGranted } from "../backends/common/permission.ts";
import { untilAborted } from "../backends/common/promises.ts";
import { assertRuntime, notebook } from "../backends/common/runtime.ts";
import type { OidcCredentialsBackend } from "../backends/oidc_credentials_backend.ts";
import { chooseBackend, getDefaultBackend } from "../backends/resolve_credentials_backend.ts";
import { keyOfIdentity } from "./credential_key.ts";
import { asksNobody, bearerKind, endOf } from "./entry/bearer.ts";
import { type ApiDemand, throwToCaller } from "./errors.ts";
import { NAMES, type PermissionNeed } from "./format_permissions.ts";
import type { BrowserOptions } from "./options/browser_options.ts";
import { BROWSER_OPTIONS, COMPLETE, isLate, type OptionRow } from "./options/declaration.ts";
import { assertAllowed, backendOf, findOrigin } from "./options/places.ts";
import {
  checkSessionOptions,
  type ResolvedOptions,
  resolveOptions,
} from "./options/resolve_options.ts";
import { loadPreflight, permissionCheck } from "./permissions/permission_check.ts";
import {
  apiNeeds,
  backendNeeds,
  type Call,
  startNeeds,
  variableNeeds,
} from "./permissions/start_needs.ts";
import type { Session, SignInOptions, StartedSignIn } from "./session.ts";
import type { InitOptions, SessionOptions } from "./session_options.ts";
import { SignedInSession } from "./signed_in/session.ts";
import { StoredCredential } from "./tokens/stored_credential.ts";
import { TokenSource } from "./tokens/source.ts";

/**
 * Signs in for any API that uses an OpenID Provider: `init` without the ping, the model, ValidMind's
 * headers and the active session.
 *
 * A valid stored token is used without any network, and an expired one is refreshed. Otherwise a
 * person is asked to sign in by the device flow ([RFC 8628](https://www.rfc-editor.org/rfc/rfc8628)).
 * `flow` names another way. With `flow: "client_credentials"` nobody is asked: the client gets a
 * token for itself. With `flow: "token_exchange"` the client gets a token for the person of another
 * token.
 *
 * Needs the permissions of the backend, `--allow-env` for the variables of absent options, and
 * `--allow-net` for the API's host. Without a valid stored token it also needs `--allow-net` for the
 * issuer's host and the hosts of its endpoints. {@linkcode requiredPermissions} lists them.
 *
 * @param options The identity, the API and the backend.
 * @returns The session.
 * @throws {ValidMindAuthError} `invalid_options`, `settings_invalid`, `insecure_url`,
 * `missing_api_credentials`, `conflicting_credentials` and `permission_required`, before any work;
 * then `login_required`, `provider_unavailable`, `provider_refused`, `provider_invalid`,
 * `device_flow_unsupported`, `flow_unsupported`, `client_auth_unusable`, `device_code_denied`,
 * `device_code_expired`, `authorization_denied`, `authorization_expired`, `redirect_unavailable`,
 * `prompt_failed`, `id_token_invalid`, `id_token_missing`, `dpop_unsupported`,
 * `credentials_not_stored`; or the signal's reason.
 * @throws {CredentialsBackendError} `runtime_unsupported`; an error of the backend, or of its choice.
 * @category Sign in
 *
 * @example
 * ```ts
 * import { createSession, MemoryCredentialsBackend } from "@validmind/auth";
 *
 * await using session = await createSession({
 *   // issuer and clientId come from VM_OIDC_ISSUER and VM_OIDC_CLIENT_ID
 *   apiHost: Deno.env.get("VM_API_HOST"),
 *   credentialsBackend: new MemoryCredentialsBackend(),
 * });
 * const response = await session.fetch("things");
 * ```
 */
export async function createSession(options: SessionOptions = {}): Promise<Session> {
  return await openSession(options).catch(throwToCaller);
}

/**
 * Starts a sign-in in the browser. A second call ends it: see {@linkcode StartedSignIn}. Needs the
 * permissions of {@linkcode createSession} with `flow: "browser"`, and throws its errors.
 *
 * @param options As for {@linkcode createSession}. With `for` it is a sign-in as of `Session.signIn`,
 * with its errors: what is stored stays until the new sign-in meets the demand.
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
export async function startSignIn(
  options: SessionOptions & Partial<Pick<SignInOptions, "for">> = {},
): Promise<StartedSignIn> {
  const { startInBrowser } = await import("./sign_in/two_steps.ts");
  return await startInBrowser(openSession, options);
}

/** A call whose options are complete, before it signs in. */
export type PreparedCall = Awaited<ReturnType<typeof prepareCall>>;

/**
 * Prepares a call. All options and the variables of a start are checked before any work: variables first,
 * since the others come from them.
 *
 * @param action The caller's action, as in "Cannot {action}".
 * @returns What the caller asked, the options with the values of the other places, and what follows from them.
 */
export async function prepareCall(given: InitOptions, call: Call, action: string) {
  const isInit = call === "init";
  assertRuntime(action);
  const asked = checkSessionOptions(given, action, isInit);
  if (!isGranted({ name: "env" })) {
    await permissionCheck(action, asked, asked.credentialsBackend ?? getDefaultBackend())(
      variableNeeds(asked, call),
    );
  }
  const places = await findOrigin(asked, action);
  const { origin, entry } = places;
  const isWanted = (row: OptionRow) => !isLate(row) && (isInit || row.group !== "model");
  const options = {
    ...origin.complete(asked, action, isWanted),
    [COMPLETE]: (early: BrowserOptions) => origin.complete(early, action, isLate),
  };
  const resolved = resolveOptions(options, action, isInit, places);
  options.signal?.throwIfAborted();
  if (BROWSER_OPTIONS.some((name) => (asked[name] ?? entry[name]) !== undefined)) {
    (await loadPreflight()).checkBrowserOptions(options, action);
  }
  let backend: OidcCredentialsBackend | undefined;
  if (resolved.identity.kind === "oidc") {
    const chosen = chooseBackend(options.credentialsBackend, backendOf(places));
    backend = await untilAborted(chosen, options.signal);
    assertAllowed(places.settings, action, backend, resolved.identity.issuer);
  }
  const check = permissionCheck(action, options, backend);
  // A start does without the whole list, and a session that gave its variables back has no other.
  let list: PermissionNeed[] | undefined;
  const needs = () => list ??= startNeeds(asked, call, resolved, backend, places);
  const allNeeds = async () => [...needs(), ...(await loadPreflight()).browserNeeds(options)];
  return { asked, options, resolved, backend, needs, allNeeds, check };
}

/**
 * Signs in, for `init` and `createSession`.
 *
 * @param demand The demand of an API that a new sign-in has to meet.
 * @param action The caller's action, as in "Cannot {action}".
 * @param asksFirst Whether a person may be asked for a first sign-in, and not only for what an API demands.
 */
export async function openSession(
  given: InitOptions,
  demand?: ApiDemand,
  call: Call = "createSession",
  action: string = call === "init" ? "sign in to ValidMind" : "sign in",
  asksFirst: boolean = true,
): Promise<SignedInSession> {
  const prepared = await prepareCall(given, call, action);
  const { asked, options, resolved, backend, needs, allNeeds, check } = prepared;
  await check([...apiNeeds(resolved), ...backend ? backendNeeds(backend) : []], "always", needs);
  if ("apiSecretFile" in resolved.identity) {
    (await loadPreflight()).readApiSecret(resolved.identity, action);
  }
  const tokens = tokensOf(resolved, backend, options, asked, asksFirst, async (own) => {
    // With every permission, as in a notebook, the list is not made.
    if (NAMES.every((name) => isGranted({ name }))) return;
    await check(own ?? needs(), "sign_in", own && needs);
  });
  const hasAsked = await tokens?.signIn(options.signal, demand);
  resolved.runtime.emit?.({ type: "signed_in", ...endOf(tokens?.held.bearer) });
  const mayAsk = resolved.silencedBy === undefined;
  const session = new SignedInSession({
    ...resolved,
    tokens,
    asksAgain: mayAsk && options.reauthenticate === "ask",
    async dropPermissions(willRefresh, all) {
      const { dropPermissions } = await loadPreflight();
      const needed = await allNeeds();
      // A fetch of the caller's own declares no hosts.
      if (options.fetch) needed.push({ name: "net", reason: "to make requests", need: "always" });
      return await dropPermissions(needed, willRefresh, all);
    },
  });
  if (hasAsked === false && mayAsk && notebook() !== undefined) {
    const { showStored } = await import("./prompt/open_prompt.ts");
    await showStored(session, options);
  }
  return session;
}

/** The tokens of a sign-in; `undefined` with an API key. */
function tokensOf(
  { identity, silencedBy, runtime }: ResolvedOptions,
  backend: OidcCredentialsBackend | undefined,
  options: SessionOptions,
  call: InitOptions,
  asksFirst: boolean,
  beforeProvider: (own?: readonly PermissionNeed[]) => Promise<void>,
) {
  if (identity.kind === "api_key" || backend === undefined) return undefined;
  const interactive = silencedBy === undefined;
  const isOfPerson = !asksNobody(identity.flow);
  const isAskable = isOfPerson && (interactive || options.reauthenticate === "ask");
  return new TokenSource({
    identity,
    call,
    stored: new StoredCredential(backend, keyOfIdentity(identity)),
    isFound: (options.credentialsBackend ?? getDefaultBackend()) === undefined,
    bearer: bearerKind(options.bearer ?? "auto", identity.issuer, identity.flow),
    runtime,
    ask: isAskable ? { ...options, flow: identity.flow, call, check: beforeProvider } : undefined,
    asksFirst: isOfPerson && interactive && asksFirst,
    ...isOfPerson && { silencedBy },
    beforeProvider,
  });
}
