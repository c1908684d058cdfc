import { asAlways, fileNeeds } from "../permissions/start_needs.ts";
import {
  CredentialsBackendError,
  type OptionTypes,
} from "../../backends/credentials_backend_error.ts";
import { delay, LONGEST_TIMER_MS } from "../../backends/common/promises.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import { assertRuntime, readEnvIfGranted } from "../../backends/common/platform.ts";
import { resolveCredentialsBackend } from "../../backends/resolve_credentials_backend.ts";
import { clearCredentials, isCorrupt, UNREAD } from "../tokens/clear.ts";
import type { ClearResult, Revocation } from "../clear_result.ts";
import { clearNeeds } from "../permissions/needs.ts";
import { credentialKey, normalizeClientId, normalizeIssuer } from "../entry.ts";
import { backendError, describeBackend } from "../../backends/common/describe_backend.ts";
import { loadGrants } from "../tokens/refresh.ts";
import { CredentialStore, unstoredKeys } from "../tokens/store.ts";
import { invalidOptions } from "../errors.ts";
import type { ClearOidcCredentialsOptions } from "../session_options.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import { preflight } from "../permissions/preflight.ts";
import {
  assertReadable,
  checkIssuer,
  clientAuthOf,
  FLOWS,
  resolveIdentity,
} from "../options/resolve_identity.ts";
import type { ClientAuthOptions, OidcIdentity } from "../options/identity.ts";
import { checkCallOptions, checkClientAuth, eventSink } from "../options/resolve_options.ts";
import type { Runtime } from "../options/runtime.ts";
import { peekActiveSession, setActiveSession, type SignedInSession } from "./session.ts";

const ACTION = "clear credentials";

const TYPES = {
  revoke: "boolean",
  all: "boolean",
  issuer: "text",
  clientId: "text",
  clientSecret: "text",
  clientKeyFile: "path",
  clientAssertionFile: "path",
  flow: FLOWS,
  audience: "string", // an empty one means none
  profile: "text",
  credentialsBackend: "any",
  fetch: "function",
  timeoutMs: "timeout",
  onEvent: "function",
} as const satisfies Record<keyof ClearOidcCredentialsOptions, OptionTypes[string]>;

export async function signOut(options: ClearOidcCredentialsOptions): Promise<ClearResult> {
  assertRuntime(ACTION);
  checkCallOptions(ACTION, options, TYPES);
  checkClientAuth(options, ACTION);
  const { revoke = false, all = false } = options;
  const result = await (all ? clearAll(options, revoke) : clearNamed(options, revoke));
  const { keys, revocation, wholeStore = false } = result;
  const removed = keys.length > 0 || wholeStore;
  options.onEvent &&
    eventSink(options.onEvent, {}, Date.now)({ type: "cleared", removed, revocation });
  return result;
}

async function clearNamed(
  options: ClearOidcCredentialsOptions,
  revoke: boolean,
): Promise<ClearResult> {
  const identity = chooseIdentity(options);
  if (identity === undefined) {
    return { keys: [], revocation: revoke ? "nothing_to_revoke" : "not_requested" };
  }
  const backend = await chooseBackend(options);
  const issuers = revoke && options.fetch === undefined ? [identity.issuer] : [];
  const files = revoke ? fileNeeds(identity).map(asAlways) : [];
  await preflight(ACTION, [...clearNeeds(backend, issuers), ...files], "always");
  const { issuer, clientId, audience } = identity;
  // Tokens that are bound to a key have an entry of their own, which is cleared too.
  const keys = [false, true].map((dpop) =>
    credentialKey(issuer, clientId, audience, { ...identity, dpop })
  );
  forgetActive(backend, keys);
  return await clearEach(backend, keys, revoke, () => revocationProvider(identity, options));
}

async function clearAll(
  options: ClearOidcCredentialsOptions,
  revoke: boolean,
): Promise<ClearResult> {
  const backend = await chooseBackend(options);
  await preflight(ACTION, clearNeeds(backend, []), "always");
  const client = configuredClient(options, peekActiveSession());
  const listed = await listKeys(backend);
  const unstored = unstoredKeys(backend);
  if (listed === "corrupt") {
    await new CredentialStore(backend, "").removeAll();
    forgetActive(backend, "all");
    return { keys: [], wholeStore: true, ...(revoke ? UNREAD : { revocation: "not_requested" }) };
  }
  const keys = [...new Set([...listed, ...unstored])];
  forgetActive(backend, keys);
  const provider = (entry: OidcCredentials) => providerOfEntry(entry, client, options);
  return await clearEach(backend, keys, revoke, provider);
}

async function clearEach(
  backend: OidcCredentialsBackend,
  keys: readonly string[],
  revoke: boolean,
  provider: (entry: OidcCredentials) => Promise<OidcProvider>,
): Promise<ClearResult> {
  const results: ClearResult[] = [];
  const faults: unknown[] = [];
  for (const key of keys) {
    try {
      results.push(await clearCredentials(new CredentialStore(backend, key), { revoke }, provider));
    } catch (error) {
      faults.push(error); // thrown in the end, so that the other entries are removed
    }
  }
  if (faults.length > 0) throw faults[0];
  return { keys: results.flatMap(({ keys }) => keys), ...worstRevocation(results, revoke) };
}

/**
 * The sign-in to end: that of the options, the active session or the variables. `undefined` where there
 * is none, which is no error for a sign-out. An API key in the environment is no sign-in.
 */
function chooseIdentity(options: ClearOidcCredentialsOptions): OidcIdentity | undefined {
  const session = peekActiveSession();
  const isOwn = options.issuer === undefined && options.clientId === undefined;
  if (isOwn && session !== undefined && session.issuer === undefined) return undefined;
  const {
    issuer = session?.issuer ?? readEnvIfGranted("VM_OIDC_ISSUER"),
    clientId = session?.clientId ?? readEnvIfGranted("VM_OIDC_CLIENT_ID"),
    audience = isOwn ? session?.audience : undefined,
    profile = isOwn ? session?.profile : undefined,
    flow = isOwn ? session?.flow : undefined,
  } = options;
  if (issuer === undefined && clientId === undefined) {
    // Without a look at the variables nobody knows whether there is something to clear.
    if (readEnvIfGranted("VM_API_KEY") === undefined) {
      assertReadable(["VM_OIDC_ISSUER", "VM_OIDC_CLIENT_ID"], ACTION);
    }
    return undefined;
  }
  const identity = resolveIdentity({
    ...givenProof(options, session),
    ...(issuer !== undefined && { issuer }),
    ...(clientId !== undefined && { clientId }),
    ...(audience !== undefined && { audience }),
    ...(profile !== undefined && { profile }),
    ...(flow !== undefined && { flow }),
  }, ACTION);
  return identity.kind === "oidc" ? identity : undefined;
}

/**
 * The client's proof by the options. The session's is used only if the options name no client: one of
 * the same id at another issuer must not get it.
 */
function givenProof(
  options: ClearOidcCredentialsOptions,
  session: SignedInSession | undefined,
): ClientAuthOptions {
  const given = clientAuthOf(options);
  const isOwn = options.issuer === undefined && options.clientId === undefined;
  if (Object.keys(given).length > 0 || !isOwn) return given;
  const identity = session?.givenIdentity();
  return identity?.kind === "oidc" ? clientAuthOf(identity) : {};
}

async function chooseBackend(
  { credentialsBackend }: ClearOidcCredentialsOptions,
): Promise<OidcCredentialsBackend> {
  return await resolveCredentialsBackend(
    credentialsBackend === undefined ? peekActiveSession()?.backend : credentialsBackend,
  );
}

async function listKeys(backend: OidcCredentialsBackend): Promise<string[] | "corrupt"> {
  if (backend.list === undefined) {
    throw new CredentialsBackendError(
      "backend_no_list",
      `Cannot clear all of ${describeBackend(backend)}: it cannot list its keys. Clear entries ` +
        `one by one, with issuer and clientId.`,
    );
  }
  try {
    return await Array.fromAsync(backend.list());
  } catch (error) {
    if (isCorrupt(error) && backend.deleteAll !== undefined) return "corrupt";
    throw backendError("list credentials in", backend, error);
  }
}

function worstRevocation(
  results: readonly ClearResult[],
  revoke: boolean,
): { revocation: Revocation; reason?: string } {
  if (!revoke) return { revocation: "not_requested" };
  for (const revocation of ["failed", "not_supported", "revoked"] as const) {
    const result = results.find((one) => one.revocation === revocation);
    if (result === undefined) continue;
    return { revocation, ...(result.reason !== undefined && { reason: result.reason }) };
  }
  return { revocation: "nothing_to_revoke" };
}

/** Ends the active session if its entry is cleared. */
function forgetActive(backend: OidcCredentialsBackend, keys: readonly string[] | "all"): void {
  const session = peekActiveSession();
  if (session?.backend !== backend || session.issuer === undefined) return;
  const key = credentialKey(session.issuer, session.clientId ?? "", session.audience, session);
  if (keys !== "all" && !keys.includes(key)) return;
  session.forget();
  setActiveSession(undefined);
}

type RevocationOptions = Pick<ClearOidcCredentialsOptions, "fetch" | "timeoutMs">;

/** A client, as far as it is configured. */
interface ConfiguredClient {
  issuer: string | undefined;
  clientId: string | undefined;
  proof: ClientAuthOptions;
}

/** The provider of an identity, for a revocation. */
async function revocationProvider(
  identity: OidcIdentity,
  options: RevocationOptions,
): Promise<OidcProvider> {
  const { openProvider } = await loadGrants();
  return openProvider(identity, runtimeOf(options));
}

/** The client of the options, the active session or the environment, in this order. */
function configuredClient(
  options: ClearOidcCredentialsOptions,
  session: SignedInSession | undefined,
): ConfiguredClient {
  const {
    issuer = session?.issuer ?? readEnvIfGranted("VM_OIDC_ISSUER"),
    clientId = session?.clientId ?? readEnvIfGranted("VM_OIDC_CLIENT_ID"),
  } = options;
  return { issuer, clientId, proof: givenProof(options, session) };
}

/**
 * The provider that issued an entry, by the entry alone. Another issuer, such as the environment's,
 * must not get its tokens, and another client's provider must not get the client's secret.
 */
async function providerOfEntry(
  entry: OidcCredentials,
  client: ConfiguredClient,
  options: RevocationOptions,
): Promise<OidcProvider> {
  const { issuer, client_id } = entry;
  if (typeof issuer !== "string" || issuer === "" || typeof client_id !== "string") {
    throw invalidOptions(
      "Cannot revoke the tokens: the entry names no issuer and client. Revoke them at the provider.",
    );
  }
  const identity: OidcIdentity = {
    kind: "oidc",
    issuer: checkIssuer(normalizeIssuer(issuer), ACTION),
    clientId: normalizeClientId(client_id),
    scope: "openid",
  };
  const isConfigured = client.issuer !== undefined && client.clientId !== undefined &&
    normalizeIssuer(client.issuer) === identity.issuer &&
    normalizeClientId(client.clientId) === identity.clientId;
  if (!isConfigured) {
    const { OidcProvider } = await loadGrants();
    return new OidcProvider(identity, runtimeOf(options));
  }
  return await revocationProvider({ ...identity, ...client.proof }, options);
}

function runtimeOf({ fetch = globalThis.fetch, timeoutMs = 30_000 }: RevocationOptions): Runtime {
  return {
    fetch,
    timeoutMs: Math.min(timeoutMs, LONGEST_TIMER_MS),
    now: Date.now,
    elapsed: () => performance.now(),
    delay,
    secrets: new Set(),
  };
}
