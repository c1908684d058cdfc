import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import type { ClearOptions, ClearResult, Revocation } from "../clear_result.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import { CredentialStore } from "./store.ts";

/** Loaded where tokens are revoked. */
const loadRevoke = () => import("./revoke.ts");

/** The result of a revocation whose tokens are not known. */
export const UNREAD: { revocation: Revocation; reason: string } = {
  revocation: "failed",
  reason: "the stored tokens could not be read",
};

/**
 * Removes one credential from its backend, and then has it revoked if that is wanted. In this order it
 * is gone here whatever the network does. An entry that cannot be read is removed unread. A corrupt
 * store is an error and stays: it may be another program's file.
 *
 * @param provider Gives the provider that issued the entry. Called only to revoke.
 */
export async function clearCredentials(
  { backend, key }: { backend: OidcCredentialsBackend; key: string },
  options: ClearOptions,
  provider: (entry: OidcCredentials) => Promise<OidcProvider>,
): Promise<ClearResult> {
  const store = new CredentialStore(backend, key);
  const { entry, isUnread } = await removeLocked(store);
  const result = { keys: entry === undefined && !isUnread ? [] : [key] };
  if (!options.revoke) return { ...result, revocation: "not_requested" };
  if (isUnread) return { ...result, ...UNREAD };
  if (entry === undefined) return { ...result, revocation: "nothing_to_revoke" };
  const { revokeTokens } = await loadRevoke();
  const tokens = { accessToken: entry.access_token, refreshToken: entry.refresh_token };
  return { ...result, ...await revokeTokens(() => provider(entry), tokens) };
}

interface Removal {
  entry?: OidcCredentials | undefined;
  /** Whether there was an entry that could not be read. */
  isUnread: boolean;
}

/**
 * Removes the entry under the lock, so that a running refresh does not bring it back. Where the lock
 * cannot be had it is removed without, since signing out must not depend on the lock.
 */
async function removeLocked(store: CredentialStore): Promise<Removal> {
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
    isUnread = true; // a fault of reading need not be a fault of removing
  }
  await store.remove();
  return { entry, isUnread };
}

/** Whether a store cannot be understood, which is the one fault that its removal cures. */
export function isCorrupt(error: unknown): boolean {
  return error instanceof CredentialsBackendError && error.code === "backend_corrupt";
}
