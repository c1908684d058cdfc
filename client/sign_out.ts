import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../backends/oidc_credentials_backend.ts";
import { CredentialsBackendError } from "../backends/credentials_backend_error.ts";
import { resolveCredentialsBackend } from "../backends/resolve_credentials_backend.ts";
import { type ClearOidcCredentialsOptions, peekActiveSession, setActiveSession } from "./init.ts";
import { checkCallOptions, checkTimeout, eventSink } from "./resolve_options.ts";
import { clearNeeds } from "./clear_needs.ts";
import { clearCredentials, isCorrupt, UNREAD } from "./clear_credentials.ts";
import type { ClearResult, Revocation } from "./clear_result.ts";
import { credentialKey } from "./credential_key.ts";
import { backendError, describeBackend } from "./backend_error.ts";
import { CredentialStore } from "./credential_store.ts";
import { type Identity, resolveIdentity } from "./resolve_identity.ts";
import type { OidcProvider } from "./oidc_provider.ts";
import { preflight } from "./preflight.ts";
import { configuredClient, providerOfEntry, revocationProvider } from "./revocation_provider.ts";

const ACTION = "clear credentials";

const TYPES: Record<keyof ClearOidcCredentialsOptions, string> = {
  revoke: "boolean",
  all: "boolean",
  issuer: "string",
  clientId: "string",
  clientSecret: "string",
  audience: "string",
  profile: "string",
  credentialsBackend: "any",
  isolate: "object",
  fetch: "function",
  timeoutMs: "number",
  onEvent: "function",
};

/** See `clearOidcCredentials`, behind which this is loaded when somebody signs out. */
export async function signOut(options: ClearOidcCredentialsOptions): Promise<ClearResult> {
  checkCallOptions(ACTION, options, TYPES);
  checkTimeout(options.timeoutMs, ACTION);
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
  if (identity.kind === "api_key") return { keys: [], revocation: "nothing_to_revoke" };
  const backend = await chooseBackend(options);
  const issuers = revoke && options.fetch === undefined ? [identity.issuer] : [];
  await preflight(ACTION, clearNeeds(backend, issuers), "always");
  const { issuer, clientId, audience, profile } = identity;
  // Who signs out means it: tokens that are bound to a key have an entry beside the others.
  const keys = [false, true].map((dpop) =>
    credentialKey(issuer, clientId, audience, { ...(profile && { profile }), dpop })
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
  const unstored = CredentialStore.unstoredKeys(backend);
  if (listed === "corrupt") {
    await new CredentialStore(backend, "").removeAll();
    forgetActive(backend, "all");
    return { keys: [], wholeStore: true, ...(revoke ? UNREAD : { revocation: "not_requested" }) };
  }
  const keys = [...new Set([...listed, ...unstored])];
  forgetActive(backend, keys);
  return await clearEach(
    backend,
    keys,
    revoke,
    (entry) => providerOfEntry(entry, client, options),
  );
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
      faults.push(error); // told in the end: one that cannot be removed must not save the others
    }
  }
  if (faults.length > 0) throw faults[0];
  return {
    keys: results.flatMap((result) => result.keys),
    ...worstRevocation(results, revoke),
    ...(results.some((result) => result.wholeStore) && { wholeStore: true }),
  };
}

/** What is given, and for the rest the active session, or the environment where there is none. */
function chooseIdentity(options: ClearOidcCredentialsOptions): Identity {
  const session = peekActiveSession();
  const isOwn = options.issuer === undefined && options.clientId === undefined;
  const {
    issuer = session?.issuer,
    clientId = session?.clientId,
    audience = isOwn ? session?.audience : undefined,
    profile = isOwn ? session?.profile : undefined,
    clientSecret = isOwn ? session?.givenSecret() : undefined,
  } = options;
  return resolveIdentity({
    ...(issuer !== undefined && { issuer }),
    ...(clientId !== undefined && { clientId }),
    ...(audience !== undefined && { audience }),
    ...(profile !== undefined && { profile }),
    ...(clientSecret !== undefined && { clientSecret }),
  }, ACTION);
}

async function chooseBackend(
  { credentialsBackend, isolate }: ClearOidcCredentialsOptions,
): Promise<OidcCredentialsBackend> {
  return await resolveCredentialsBackend(
    credentialsBackend === undefined ? peekActiveSession()?.backend : credentialsBackend,
    isolate === undefined ? {} : { isolate },
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

/** The active session, if its entry is among those that are cleared, is over. */
function forgetActive(backend: OidcCredentialsBackend, keys: readonly string[] | "all"): void {
  const session = peekActiveSession();
  if (session?.backend !== backend || session.issuer === undefined) return;
  const key = credentialKey(session.issuer, session.clientId ?? "", session.audience, session);
  if (keys !== "all" && !keys.includes(key)) return;
  session.forget();
  setActiveSession(undefined);
}
