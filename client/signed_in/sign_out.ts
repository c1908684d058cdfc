import { given } from "../../backends/common/json.ts";
import { listKeys } from "../../backends/common/read_backend.ts";
import { isProbeKey } from "../../backends/common/marks.ts";
import { assertRuntime } from "../../backends/common/runtime.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import { chooseBackend, getDefaultBackend } from "../../backends/resolve_credentials_backend.ts";
import { keyOfIdentity, normalizeClientId, normalizeIssuer } from "../credential_key.ts";
import { codeOf, invalidOptions } from "../errors.ts";
import type { PermissionNeed } from "../format_permissions.ts";
import {
  isOfIdentity,
  KEY_PARTS,
  optionTypes,
  PROOFS,
  SIGN_IN_WORDS,
} from "../options/declaration.ts";
import { backendOf, type CallOrigin, findOrigin } from "../options/places.ts";
import {
  checkIssuer,
  type OidcIdentity,
  proofIn,
  resolveIdentity,
} from "../options/resolve_identity.ts";
import { checkCallOptions, eventSink, runtimeOf } from "../options/resolve_options.ts";
import { clearNeeds, preflight } from "../permissions/preflight.ts";
import {
  asAlways,
  choiceNeeds,
  isByKey,
  providerNeeds,
  variableNeeds,
} from "../permissions/start_needs.ts";
import type { ClearResult } from "../session.ts";
import type { ClearOidcCredentialsOptions } from "../session_options.ts";
import { clearCredentials, UNREAD } from "../tokens/clear.ts";
import { loadProvider } from "../tokens/entry_use.ts";
import { sharedState } from "../tokens/stored_credential.ts";
import { CredentialStore } from "../tokens/store.ts";
import { peekActiveSession, setActiveSession } from "./session.ts";

const ACTION = "clear credentials";
/** The outcome of several revocations is the first of these that one of them has. */
const WORST_FIRST = ["failed", "not_supported", "revoked", "nothing_to_revoke", "not_requested"];
const OTHERS = ["credentialsBackend", "fetch", "timeoutMs", "onEvent"] as const;

export async function signOut(options: ClearOidcCredentialsOptions): Promise<ClearResult> {
  assertRuntime(ACTION);
  const types = optionTypes([...KEY_PARTS, ...PROOFS, ...OTHERS]);
  checkCallOptions(ACTION, options, { revoke: "boolean", all: "boolean", ...types });
  proofIn(options, ACTION); // one at most
  const { issuer, clientId, all, onEvent } = options;
  // Variables and settings count where there is no session to end.
  const isOwn = peekActiveSession() !== undefined && (issuer ?? clientId) === undefined;
  const places = isOwn ? undefined : await findOrigin(options, ACTION);
  const clear = all ? clearAll : clearNamed;
  const completed = places?.origin.complete(options, ACTION, isOfIdentity);
  const result = await clear(completed ?? options, places);
  const { keys, revocation, wholeStore = false } = result;
  const removed = keys.length > 0 || wholeStore;
  if (onEvent) eventSink([onEvent], {}, Date.now)({ type: "cleared", removed, revocation });
  return result;
}

/** The outcome of a revocation where there was no sign-in. */
function withoutSignIn(revoke: boolean): ClearResult["revocation"] {
  return revoke ? "nothing_to_revoke" : "not_requested";
}

async function clearNamed(
  options: ClearOidcCredentialsOptions,
  places: CallOrigin | undefined,
): Promise<ClearResult> {
  const { revoke = false } = options;
  const identity = chooseIdentity(options, places);
  if (!identity) return { keys: [], revocation: withoutSignIn(revoke) };
  const backend = await storeOf(options, places);
  const needs = clearNeeds(backend);
  if (revoke) {
    const isNative = options.fetch === undefined;
    const ofProvider = providerNeeds(identity, isNative, "to have the tokens revoked");
    needs.push(...ofProvider.map(asAlways));
  }
  assertPermitted(options, backend, needs);
  const { issuer, clientId } = identity;
  // Tokens that are bound to a key have an entry of their own, which is cleared too.
  const keys = [false, true].map((dpop) => keyOfIdentity({ ...identity, dpop }));
  // An entry of this key is of this client, also where it does not say so.
  const named = { issuer, client_id: clientId };
  return await clearEach(backend, keys, () => providerOf(named, identity, options), revoke);
}

async function clearAll(
  options: ClearOidcCredentialsOptions,
  places: CallOrigin | undefined,
): Promise<ClearResult> {
  const { revoke = false } = options;
  const backend = await storeOf(options, places);
  assertPermitted(options, backend, clearNeeds(backend));
  const instead = `Clear entries one by one, with ${SIGN_IN_WORDS}.`;
  try {
    const listed = await listKeys(backend, instead);
    const keys = new Set([...listed, ...sharedState(backend).unstored.keys()]);
    const active = activeIn(backend);
    if (active) keys.add(active.key); // another program may have removed its entry
    // It only helps to revoke, and need not be there.
    const own = revoke
      ? await Promise.try(chooseIdentity, options, places).catch(() => undefined)
      : undefined;
    return await clearEach(backend, [...keys], (entry) => providerOf(entry, own, options), revoke);
  } catch (error) {
    // The faults that the removal of a store cures: it is not understood, or has no space for a change.
    const isCured = /^backend_(corrupt|full)$/.test(String(codeOf(error).code));
    if (!isCured || !backend.deleteAll) throw error;
  }
  await new CredentialStore(backend, "").removeAll();
  endActive(activeIn(backend));
  return { keys: [], wholeStore: true, ...(revoke ? UNREAD : { revocation: "not_requested" }) };
}

async function clearEach(
  backend: OidcCredentialsBackend,
  cleared: readonly string[],
  provider: Parameters<typeof clearCredentials>[2],
  revoke: boolean,
): Promise<ClearResult> {
  const active = activeIn(backend, cleared);
  const held = active?.session.forget();
  const results: ClearResult[] = [];
  const faults: unknown[] = [];
  for (const key of cleared) {
    try {
      const former = key === active?.key ? held : undefined;
      const store = new CredentialStore(backend, key);
      const isEntry = !isProbeKey(key); // or what a probe has left behind
      const result = await clearCredentials(store, revoke && isEntry, provider, former);
      if (isEntry) results.push(result);
    } catch (error) {
      faults.push(error); // thrown in the end, so that the other entries are removed
    }
  }
  // Not earlier: it names the entry for another try.
  if (faults.length > 0) throw faults[0];
  endActive(active);
  const rank = ({ revocation }: ClearResult) => WORST_FIRST.indexOf(revocation);
  const [worst] = results.toSorted((one, other) => rank(one) - rank(other));
  const { revocation = withoutSignIn(revoke), reason } = worst ?? {};
  const keys = results.flatMap((result) => result.keys);
  return { keys, revocation, ...given({ reason }) };
}

/**
 * The sign-in to end: the one of the options, with their values of all places, or of the active session.
 * `undefined` where there is none, which is no error for a sign-out. An API key in the environment is no
 * sign-in.
 */
function chooseIdentity(
  options: ClearOidcCredentialsOptions,
  places: CallOrigin | undefined,
) {
  const { issuer, clientId, audience, profile, flow } = options;
  if (!places) {
    const session = peekActiveSession()!.givenIdentity();
    if (session.kind !== "oidc") return undefined;
    // As it is: the variables may say something else by now, and did not count for all of it.
    const proof = proofIn(options, ACTION);
    return { ...session, ...given({ audience, profile, flow, proof }) } as OidcIdentity;
  }
  if (issuer === undefined && clientId === undefined) {
    // Without a look at the variables nobody knows whether there is something to clear.
    const { credentialsBackend = getDefaultBackend() } = options;
    const needs = variableNeeds(options, "createSession");
    if (!isByKey(options)) preflight(ACTION, needs, "always", undefined, credentialsBackend);
    return undefined;
  }
  const identity = resolveIdentity(options, ACTION, places);
  return identity.kind === "oidc" ? identity : undefined;
}

async function storeOf(
  { credentialsBackend = peekActiveSession()?.backend }: ClearOidcCredentialsOptions,
  places: CallOrigin | undefined,
) {
  const named = places && backendOf(places);
  if (!named) preflight(ACTION, choiceNeeds({ credentialsBackend }));
  return await chooseBackend(credentialsBackend, named);
}

/** Checks the permissions of a sign-out. The command of the error has those of its variables, too. */
function assertPermitted(
  options: ClearOidcCredentialsOptions,
  backend: OidcCredentialsBackend,
  needs: readonly PermissionNeed[],
) {
  const all = () => [...variableNeeds(options, "createSession"), ...needs];
  preflight(ACTION, needs, "always", all, backend);
}

/** The active session of a store and its key, if that is among these. */
function activeIn(backend: OidcCredentialsBackend, keys?: readonly string[]) {
  const session = peekActiveSession();
  const { shared, key = "" } = session?.storedCredential() ?? {};
  if (!session || shared !== sharedState(backend)) return undefined;
  return keys?.includes(key) === false ? undefined : { session, key };
}

/** Leaves no active session, unless a new one has come meanwhile. */
function endActive(active: ReturnType<typeof activeIn>) {
  if (peekActiveSession() === active?.session) setActiveSession(undefined);
}

/**
 * The provider of an entry, by the entry or the key alone. Another issuer, such as the environment's,
 * must not get its tokens, and another client's provider must not get the client's secret.
 */
async function providerOf(
  { issuer, client_id }: Pick<OidcCredentials, "issuer" | "client_id">,
  own: OidcIdentity | undefined,
  options: ClearOidcCredentialsOptions,
) {
  if (typeof issuer !== "string" || issuer === "" || typeof client_id !== "string") {
    throw invalidOptions(
      "revoke the tokens",
      "the entry names no issuer and client",
      "Revoke them at the provider.",
    );
  }
  const url = checkIssuer(normalizeIssuer(issuer), ACTION);
  const clientId = normalizeClientId(client_id);
  const isOwn = own !== undefined && own.issuer === url && own.clientId === clientId;
  const proof = isOwn ? own.proof : undefined;
  const identity = { kind: "oidc", issuer: url, clientId, scope: "openid", proof } as const;
  const { openProvider } = await loadProvider();
  return openProvider(identity, runtimeOf(options));
}
