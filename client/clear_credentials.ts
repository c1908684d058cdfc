import { CredentialsBackendError } from "../backends/credentials_backend_error.ts";
import type { OidcCredentials } from "../backends/oidc_credentials_backend.ts";
import type { ClearOptions, ClearResult, Revocation } from "./clear_result.ts";
import type { CredentialStore } from "./credential_store.ts";
import type { OidcProvider } from "./oidc_provider.ts";
import { printable } from "./printable.ts";

/**
 * Removes one credential from its backend, then has it revoked if that is wanted: in this order, so
 * that it is gone here whatever the network does.
 *
 * @param provider Gives the provider that issued the entry. Called only to revoke.
 */
export async function clearCredentials(
  store: CredentialStore,
  options: ClearOptions,
  provider: (entry: OidcCredentials) => Promise<OidcProvider>,
): Promise<ClearResult> {
  let entry: OidcCredentials | undefined;
  try {
    entry = await removeAlone(store);
  } catch (error) {
    if (!isCorrupt(error) || store.backend.deleteAll === undefined) throw error;
    await store.backend.deleteAll();
    return {
      keys: [store.key],
      wholeStore: true,
      ...(options.revoke
        ? { revocation: "failed", reason: "the stored tokens could not be read" }
        : { revocation: "not_requested" }),
    };
  }
  const keys = entry === undefined ? [] : [store.key];
  if (!options.revoke) return { keys, revocation: "not_requested" };
  if (entry === undefined) return { keys, revocation: "nothing_to_revoke" };
  return { keys, ...await revoke(entry, provider) };
}

/** Under the lock, so that a refresh that is under way does not bring the entry back. */
async function removeAlone(store: CredentialStore): Promise<OidcCredentials | undefined> {
  const remove = async () => {
    const entry = await store.load();
    await store.remove();
    return entry;
  };
  try {
    return await store.withLock(remove);
  } catch (error) {
    if (!(error instanceof CredentialsBackendError) || error.code !== "backend_locked") throw error;
    return await remove();
  }
}

async function revoke(
  entry: OidcCredentials,
  provider: (entry: OidcCredentials) => Promise<OidcProvider>,
): Promise<{ revocation: Revocation; reason?: string }> {
  try {
    const issuer = await provider(entry);
    const isRefreshRevoked = entry.refresh_token
      ? await issuer.revoke(entry.refresh_token, "refresh_token")
      : true;
    const isRevoked = isRefreshRevoked && await issuer.revoke(entry.access_token, "access_token");
    return isRevoked
      ? { revocation: "revoked" }
      : { revocation: "not_supported", reason: "the provider has no revocation endpoint" };
  } catch (error) {
    const reason = error instanceof Error ? printable(error.message, 500) : "unknown error";
    return { revocation: "failed", reason };
  }
}

/** Whether a store cannot be understood: the one fault that removing it cures. */
export function isCorrupt(error: unknown): boolean {
  return error instanceof CredentialsBackendError && error.code === "backend_corrupt";
}
