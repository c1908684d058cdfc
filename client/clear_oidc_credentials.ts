import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../backends/oidc_credentials_backend.ts";
import { CredentialsBackendError } from "../backends/credentials_backend_error.ts";
import { resolveCredentialsBackend } from "../backends/resolve_credentials_backend.ts";
import { peekActiveSession, setActiveSession } from "./active_session.ts";
import { clearCredentials, isCorrupt } from "./clear_credentials.ts";
import type { ClearOptions, ClearResult, Revocation } from "./clear_result.ts";
import { credentialKey } from "./credential_key.ts";
import { CredentialStore, describeBackend } from "./credential_store.ts";
import { ValidMindAuthError } from "./errors.ts";
import type { SessionOptions } from "./init_options.ts";
import type { OidcProvider } from "./oidc_provider.ts";
import { type ResolvedOptions, resolveOptions } from "./resolve_options.ts";

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
   * The audience of the entry, if it has one.
   *
   * @default that of the active session, or VM_OIDC_AUDIENCE
   */
  audience?: string;
  /**
   * Where the entry is.
   *
   * @default that of the active session, or what `init()` would use
   */
  credentialsBackend?: OidcCredentialsBackend;
}

const KNOWN = ["revoke", "all", "issuer", "clientId", "audience", "credentialsBackend"];

/**
 * Signs out: removes the stored tokens, and with `revoke` asks the provider to end them too. The
 * entry is gone from the backend whatever the network does, and also from a file that cannot be
 * understood. Works without `init()`: the entry is then found as `init()` would find it.
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
  checkOptions(options);
  const { revoke = false, all = false } = options;
  const session = peekActiveSession();
  const isNamed = options.issuer !== undefined || options.clientId !== undefined ||
    options.audience !== undefined || options.credentialsBackend !== undefined;
  if (all) return await clearAll(options, revoke);
  if (session?.backend !== undefined && !isNamed) {
    setActiveSession(undefined);
    return await session.clear({ revoke });
  }
  return await clearNamed(options, revoke);
}

async function clearNamed(
  options: ClearOidcCredentialsOptions,
  revoke: boolean,
): Promise<ClearResult> {
  const { issuer, clientId, audience } = options;
  const resolved = resolve({
    ...(issuer !== undefined && { issuer }),
    ...(clientId !== undefined && { clientId }),
    ...(audience !== undefined && { audience }),
  });
  const { identity } = resolved;
  if (identity.kind === "api_key") return { keys: [], revocation: "nothing_to_revoke" };
  const backend = await resolveCredentialsBackend(options.credentialsBackend);
  const key = credentialKey(identity.issuer, identity.clientId, identity.audience);
  forgetActive(backend, [key]);
  return await clearCredentials(
    new CredentialStore(backend, key),
    { revoke },
    () => providerOf(resolved),
  );
}

async function clearAll(
  options: ClearOidcCredentialsOptions,
  revoke: boolean,
): Promise<ClearResult> {
  const backend = options.credentialsBackend ?? peekActiveSession()?.backend ??
    await resolveCredentialsBackend();
  const keys = await listKeys(backend);
  if (keys === "corrupt") {
    await backend.deleteAll?.();
    setActiveSession(undefined);
    return {
      keys: [],
      wholeStore: true,
      revocation: revoke ? "failed" : "not_requested",
      ...(revoke && { reason: "the stored tokens could not be read" }),
    };
  }
  const results: ClearResult[] = [];
  for (const key of keys) {
    const store = new CredentialStore(backend, key);
    results.push(await clearCredentials(store, { revoke }, providerOfEntry));
  }
  forgetActive(backend, keys);
  return {
    keys: results.flatMap((result) => result.keys),
    ...worstRevocation(results, revoke),
  };
}

async function listKeys(backend: OidcCredentialsBackend): Promise<string[] | "corrupt"> {
  if (backend.list === undefined) {
    throw new CredentialsBackendError(
      "backend_no_list",
      `Cannot clear all of ${
        describeBackend(backend)
      }: it cannot list its keys. Clear entries one ` +
        `by one, with issuer and clientId.`,
    );
  }
  try {
    return await Array.fromAsync(backend.list());
  } catch (error) {
    if (isCorrupt(error) && backend.deleteAll !== undefined) return "corrupt";
    throw error;
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
function forgetActive(backend: OidcCredentialsBackend, keys: readonly string[]): void {
  const session = peekActiveSession();
  if (session?.backend !== backend || session.issuer === undefined) return;
  const key = credentialKey(session.issuer, session.clientId ?? "", session.audience);
  if (!keys.includes(key)) return;
  session.close();
  setActiveSession(undefined);
}

function providerOfEntry(entry: OidcCredentials): Promise<OidcProvider> {
  const { issuer, client_id, audience } = entry;
  return providerOf(resolve({ issuer, clientId: client_id, ...(audience ? { audience } : {}) }));
}

async function providerOf({ identity, runtime }: ResolvedOptions): Promise<OidcProvider> {
  const { OidcProvider } = await import("./oidc_provider.ts");
  if (identity.kind === "oidc") return new OidcProvider(identity, runtime);
  throw new TypeError("an API key has no provider");
}

function resolve(options: SessionOptions): ResolvedOptions {
  return resolveOptions(options, "clear credentials");
}

function checkOptions(options: unknown): void {
  const isObject = typeof options === "object" && options !== null && !Array.isArray(options);
  const unknown = isObject && Object.keys(options).find((name) => !KNOWN.includes(name));
  if (isObject && unknown === undefined) return;
  throw new ValidMindAuthError(
    "invalid_options",
    `Cannot clear credentials: ${
      isObject ? `unknown option "${unknown}"` : "no options object"
    }. ` +
      `It takes: ${KNOWN.join(", ")}.`,
  );
}
