import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { requestClientTokens } from "../provider/client_credentials_grant.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";
import { type RefreshAnswer, refreshTokens, subjectOf } from "../provider/refresh_grant.ts";
import type { BoundKey } from "./new_entry.ts";

export { OidcProvider, openProvider } from "../provider/oidc_provider.ts";

/** Gives new tokens for an entry. The one step in which the renewals of a person and a client differ. */
export type Grant = (
  provider: OidcProvider,
  stored: OidcCredentials | undefined,
  key: BoundKey,
) => Promise<RefreshAnswer>;

/** The grant of a person: the stored refresh token, which is spent by it. */
export const personGrant: Grant = async (provider, stored, key) => {
  const { refresh_token, dpop_key } = stored!;
  const dpopKey = await key.import(dpop_key);
  const subject = subjectOf(stored!);
  return await refreshTokens(provider, { refreshToken: refresh_token!, subject, dpopKey });
};

/** The grant of a client, which proves itself. */
export const clientGrant: Grant = async (provider, stored) => ({
  tokens: await requestClientTokens(provider, stored?.dpop_key),
});
