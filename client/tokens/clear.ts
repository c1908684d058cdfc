import { printable } from "../../backends/common/printable.ts";
import { redact } from "../../backends/common/redaction.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import type { ValidMindAuthError } from "../errors.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import type { ClearResult } from "../session.ts";
import type { CredentialStore } from "./store.ts";

type RevocationResult = Pick<ClearResult, "revocation" | "reason">;

const NO_ENDPOINT: RevocationResult = {
  revocation: "not_supported",
  reason: "the provider has no revocation endpoint",
};

const NOT_BY_ITSELF =
  "the provider does not revoke this access token by itself: it may be valid until it ends";

/** The result of a revocation whose tokens are not known. */
export const UNREAD: RevocationResult = {
  revocation: "failed",
  reason: "the stored tokens could not be read",
};

/**
 * Removes one credential from its backend, and then has it revoked if that is wanted. In this order it
 * is gone here whatever the network does. An entry that cannot be read is removed unread. A corrupt
 * store is an error and stays: it may be another program's file. `provider` gives the provider that
 * issued the entry, and is called only to revoke. `held` is the entry of a session, which is revoked where
 * another program has removed the stored one.
 */
export async function clearCredentials(
  store: CredentialStore,
  revoke: boolean,
  provider: (entry: OidcCredentials) => Promise<OidcProvider>,
  held?: OidcCredentials,
): Promise<ClearResult> {
  let entry: OidcCredentials | undefined;
  let isUnread = false;
  const remove = async () => {
    try {
      entry = await store.loadLocked() ?? entry;
    } catch {
      isUnread = true; // a fault of reading need not be a fault of removing
    }
    await store.signOut();
  };
  // Under the lock, so that a running refresh does not bring it back; without, where it cannot be had.
  await store.withLock(remove).catch(remove);

  isUnread &&= entry === undefined;
  const wasThere = entry !== undefined || isUnread;
  const result = { keys: wasThere ? [store.key] : [] };
  if (!revoke) return { ...result, revocation: "not_requested" };
  if (isUnread) return { ...result, ...UNREAD };

  const revoked = entry ?? held;
  if (!revoked) return { ...result, revocation: "nothing_to_revoke" };
  const tokens = { accessToken: revoked.access_token, refreshToken: revoked.refresh_token };
  return { ...result, ...await revokeTokens(() => provider(revoked), tokens) };
}

/** Revokes the tokens of a sign-in, as far as the provider can. Never throws. */
export async function revokeTokens(
  provider: () => Promise<OidcProvider>,
  { accessToken, refreshToken }: { accessToken: string; refreshToken?: string | null },
): Promise<RevocationResult> {
  try {
    const issuer = await provider();
    if (refreshToken && !await issuer.revoke(refreshToken, "refresh_token")) return NO_ENDPOINT;
    try {
      const isRevoked = await issuer.revoke(accessToken, "access_token");
      return isRevoked ? { revocation: "revoked" } : NO_ENDPOINT;
    } catch (error) {
      const { kind, oauthError } = error as Partial<ValidMindAuthError>;
      // It may have ended with the refresh token, and a JWT often cannot be revoked: RFC 7009, section 2.
      const isRefused = kind === "refused" || kind === "over";
      if (refreshToken && isRefused) return { revocation: "revoked", reason: NOT_BY_ITSELF };
      if (oauthError !== "unsupported_token_type") throw error;
      return { revocation: "not_supported", reason: NOT_BY_ITSELF };
    }
  } catch (error) {
    const secrets = [refreshToken, accessToken].filter((token) => typeof token === "string");
    const text = error instanceof Error ? error.message : "unknown error";
    return { revocation: "failed", reason: printable(redact(text, secrets)) };
  }
}
