import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import type { ClearOptions, ClearResult, Revocation } from "../clear_result.ts";
import { CredentialStore } from "./store.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import { printable, redact } from "../../backends/common/printable.ts";

/** Loaded where tokens are revoked. */
const loadRevocation = () => import("../provider/revocation.ts");

/**
 * Removes one credential from its backend, then has it revoked if that is wanted: in this order, so
 * that it is gone here whatever the network does. An entry that cannot be read is removed unread;
 * where even that takes a store that can be understood, the store is removed.
 *
 * @param provider Gives the provider that issued the entry. Called only to revoke.
 */
export async function clearCredentials(
  { backend, key }: { backend: OidcCredentialsBackend; key: string },
  options: ClearOptions,
  provider: (entry: OidcCredentials) => Promise<OidcProvider>,
): Promise<ClearResult> {
  const store = new CredentialStore(backend, key);
  const { entry, isUnread, wholeStore } = await removeAlone(store);
  const result = {
    keys: entry === undefined && !isUnread ? [] : [key],
    ...(wholeStore && { wholeStore }),
  };
  if (!options.revoke) return { ...result, revocation: "not_requested" };
  if (isUnread) return { ...result, ...UNREAD };
  if (entry === undefined) return { ...result, revocation: "nothing_to_revoke" };
  return { ...result, ...await revoke(entry, provider) };
}

/** What becomes of a revocation when the tokens are not known. */
export const UNREAD: { revocation: Revocation; reason: string } = {
  revocation: "failed",
  reason: "the stored tokens could not be read",
};

interface Removal {
  entry?: OidcCredentials | undefined;
  /** Whether something was there that could not be read. */
  isUnread: boolean;
  wholeStore?: boolean;
}

/**
 * Under the lock, so that a refresh that is under way does not bring the entry back; without it where
 * it cannot be had, since signing out must not depend on it.
 */
async function removeAlone(store: CredentialStore): Promise<Removal> {
  let hasBegun = false;
  try {
    return await store.withLock(() => {
      hasBegun = true;
      return remove(store);
    });
  } catch (error) {
    if (hasBegun) throw error;
    return await remove(store);
  }
}

async function remove(store: CredentialStore): Promise<Removal> {
  let entry: OidcCredentials | undefined;
  let isUnread = false;
  try {
    entry = await store.loadLocked();
  } catch {
    isUnread = true; // what stands in the way of reading may not stand in the way of removal
  }
  try {
    await store.remove();
    return { entry, isUnread };
  } catch (error) {
    if (!isCorrupt(error) || store.backend.deleteAll === undefined) throw error;
    await store.removeAll();
    return { isUnread: true, wholeStore: true };
  }
}

interface RevocationResult {
  revocation: Revocation;
  reason?: string;
}

async function revoke(
  entry: OidcCredentials,
  provider: (entry: OidcCredentials) => Promise<OidcProvider>,
): Promise<RevocationResult> {
  try {
    const [issuer, { revokeToken }] = await Promise.all([provider(entry), loadRevocation()]);
    const isRefreshRevoked = entry.refresh_token
      ? await revokeToken(issuer, entry.refresh_token, "refresh_token")
      : true;
    if (!isRefreshRevoked) return notSupported("the provider has no revocation endpoint");
    return await revokeAccessToken(entry, issuer);
  } catch (error) {
    const secrets = [entry.refresh_token, entry.access_token].flatMap((token) => token || []);
    const text = error instanceof Error ? error.message : "unknown error";
    return { revocation: "failed", reason: printable(redact(text, secrets), 500) };
  }
}

/** An access token that is a JWT often cannot be revoked: RFC 7009, section 2.2.1. */
async function revokeAccessToken(
  entry: OidcCredentials,
  issuer: OidcProvider,
): Promise<RevocationResult> {
  const { revokeToken } = await loadRevocation();
  try {
    const isRevoked = await revokeToken(issuer, entry.access_token, "access_token");
    if (isRevoked) return { revocation: "revoked" };
    return notSupported("the provider has no revocation endpoint");
  } catch (error) {
    const { oauthError } = error as { oauthError?: string };
    if (oauthError !== "unsupported_token_type") throw error;
    const reason =
      "the provider does not revoke access tokens of this kind: it works until it ends";
    return entry.refresh_token ? { revocation: "revoked", reason } : notSupported(reason);
  }
}

function notSupported(reason: string): RevocationResult {
  return { revocation: "not_supported", reason };
}

/** Whether a store cannot be understood: the one fault that removing it cures. */
export function isCorrupt(error: unknown): boolean {
  return error instanceof CredentialsBackendError && error.code === "backend_corrupt";
}
