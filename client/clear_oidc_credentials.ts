import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../backends/oidc_credentials_backend.ts";
import { CredentialsBackendError } from "../backends/credentials_backend_error.ts";
import { resolveCredentialsBackend } from "../backends/resolve_credentials_backend.ts";
import { peekActiveSession, setActiveSession } from "./active_session.ts";
import type { AuthEvent } from "./auth_event.ts";
import { checkCallOptions } from "./check_call_options.ts";
import { clearNeeds } from "./clear_needs.ts";
import { clearCredentials, isCorrupt, UNREAD } from "./clear_credentials.ts";
import type { ClearOptions, ClearResult, Revocation } from "./clear_result.ts";
import { credentialKey } from "./credential_key.ts";
import { backendError, CredentialStore, describeBackend } from "./credential_store.ts";
import { eventSink } from "./event_sink.ts";
import type { OidcProvider } from "./oidc_provider.ts";
import { preflight } from "./preflight.ts";
import { type Identity, resolveIdentity } from "./resolve_options.ts";
import { configuredClient, providerOfEntry, revocationProvider } from "./revocation_provider.ts";

/** Options of `clearOidcCredentials`. */
export interface ClearOidcCredentialsOptions extends ClearOptions {
  /**
   * Clears every entry of the backend, whoever's it is: all that `list()` names, or, where the store
   * cannot be understood, the store.
   *
   * @default false
   */
  all?: boolean;
  /**
   * Whose entry to clear.
   *
   * @default that of the active session, or VM_OIDC_ISSUER
   */
  issuer?: string;
  /**
   * The client id of the entry.
   *
   * @default that of the active session, or VM_OIDC_CLIENT_ID
   */
  clientId?: string;
  /**
   * Secret of the client, for a provider that wants it to revoke tokens. With `all` it goes only to
   * the client that issuer and clientId, or what they default to, name.
   *
   * @default that of the active session if neither issuer nor clientId is given, or
   * VM_OIDC_CLIENT_SECRET, as in `init()`
   */
  clientSecret?: string;
  /**
   * The audience of the entry, if it has one.
   *
   * @default that of the active session if neither issuer nor clientId is given, or VM_OIDC_AUDIENCE
   */
  audience?: string;
  /**
   * The profile of the entry, if it has one.
   *
   * @default that of the active session if neither issuer nor clientId is given, or VM_OIDC_PROFILE
   */
  profile?: string;
  /**
   * Where the entry is.
   *
   * @default that of the active session, or what `init()` would use
   */
  credentialsBackend?: OidcCredentialsBackend;
  /**
   * Runs a third-party backend that the environment names in a Worker with these permissions and no
   * others: see `loadBackendFromEnv`.
   *
   * @default the backend runs in this process, with its permissions
   */
  isolate?: Deno.PermissionOptionsObject;
  /**
   * Makes the requests of a revocation.
   *
   * @default globalThis.fetch
   */
  fetch?: typeof globalThis.fetch;
  /**
   * Longest time for one request of a revocation, in milliseconds.
   *
   * @default 30_000
   */
  timeoutMs?: number;
  /** Is told what was cleared, for a log: see the option of the same name of `init`. */
  onEvent?: (event: AuthEvent) => void;
}

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

/**
 * Signs out: removes the stored tokens, and with `revoke` asks the provider to end them too. The
 * entry is gone from the backend whatever the network does, and also from a store that cannot be
 * understood (a damaged credentials file is deleted whole). Works without `init()`: the entry is then found as `init()` would find it.
 *
 * Needs what the backend needs, `--allow-env` for the variables of options that are not given, and
 * with `revoke` `--allow-net` for the issuer's host.
 *
 * @param options Whose tokens, and whether they are revoked.
 * @returns What was removed, and what became of the revocation.
 * @throws {ValidMindAuthError} `invalid_options`, `missing_api_credentials`, `insecure_url`,
 * `permission_required`.
 * @throws {CredentialsBackendError} What the backend reports; `backend_no_list` for `all` on one
 * that cannot list its keys.
 *
 * @example
 * ```ts
 * import { clearOidcCredentials, init } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * await init({ model: "cl123" });
 * const { keys, revocation } = await clearOidcCredentials({ revoke: true });
 * assertEquals(keys.length, 1);
 * assertEquals(revocation, "revoked");
 * ```
 */
export async function clearOidcCredentials(
  options: ClearOidcCredentialsOptions = {},
): Promise<ClearResult> {
  checkCallOptions(ACTION, options, TYPES);
  const { revoke = false, all = false } = options;
  const result = await (all ? clearAll(options, revoke) : clearNamed(options, revoke));
  const { keys, revocation, wholeStore = false } = result;
  const removed = keys.length > 0 || wholeStore;
  eventSink(options.onEvent, {}, Date.now)?.({ type: "cleared", removed, revocation });
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
