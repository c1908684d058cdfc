import { printable } from "../../backends/common/printable.ts";
import { redact } from "../../backends/common/redact.ts";
import type { Revocation } from "../clear_result.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import { revokeToken } from "../provider/revocation.ts";

/** The result of a revocation, with its reason where it is not complete. */
export interface RevocationResult {
  revocation: Revocation;
  reason?: string;
}

/** The tokens of one sign-in that are to be revoked. Secret. */
export interface RevokedTokens {
  accessToken: string;
  refreshToken?: string | null | undefined;
}

/** Revokes the tokens of a sign-in, as far as the provider can. Never throws. */
export async function revokeTokens(
  provider: () => Promise<OidcProvider>,
  { accessToken, refreshToken }: RevokedTokens,
): Promise<RevocationResult> {
  try {
    const issuer = await provider();
    const isRefreshRevoked = refreshToken
      ? await revokeToken(issuer, refreshToken, "refresh_token")
      : true;
    if (!isRefreshRevoked) return notSupported("the provider has no revocation endpoint");
    return await revokeAccessToken(issuer, accessToken, Boolean(refreshToken));
  } catch (error) {
    const secrets = [refreshToken, accessToken].flatMap((token) => token || []);
    const text = error instanceof Error ? error.message : "unknown error";
    return { revocation: "failed", reason: printable(redact(text, secrets), 500) };
  }
}

/** An access token that is a JWT often cannot be revoked: RFC 7009, section 2.2.1. */
async function revokeAccessToken(
  provider: OidcProvider,
  accessToken: string,
  isRefreshRevoked: boolean,
): Promise<RevocationResult> {
  try {
    const isRevoked = await revokeToken(provider, accessToken, "access_token");
    if (isRevoked) return { revocation: "revoked" };
    return notSupported("the provider has no revocation endpoint");
  } catch (error) {
    const { oauthError } = error as { oauthError?: string };
    if (oauthError !== "unsupported_token_type") throw error;
    const reason =
      "the provider does not revoke access tokens of this kind: it works until it ends";
    return isRefreshRevoked ? { revocation: "revoked", reason } : notSupported(reason);
  }
}

function notSupported(reason: string): RevocationResult {
  return { revocation: "not_supported", reason };
}
