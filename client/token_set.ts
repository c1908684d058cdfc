import type { TokenEndpointResponse } from "oauth4webapi";
import { isSendable } from "./credentials.ts";

/** Tokens as the provider gave them, checked. */
export interface TokenSet {
  accessToken: string;
  refreshToken?: string;
  idToken?: string;
  /** When the ID token ends, in seconds since the epoch. */
  idTokenExpiry?: number;
  expiresIn?: number;
  /** The private key that they are bound to, where they are new. Secret. */
  dpopKey?: JsonWebKey;
}

/** New tokens; or, where they failed a check, the refresh token that took the old one's place. */
export type RefreshAnswer =
  | { tokens: TokenSet }
  | { tokens?: undefined; refreshToken: string; error: Error };

/**
 * The tokens in a processed answer.
 *
 * @throws {TypeError} Where one of them can be on no request. Does not quote it.
 */
export function toTokenSet(
  answer: Partial<TokenEndpointResponse>,
  idTokenExpiry?: number,
): TokenSet {
  for (const token of [answer.access_token, answer.id_token]) {
    if (token === undefined || isSendable(token)) continue;
    throw new TypeError("a token has characters in it that no request can carry");
  }
  return {
    accessToken: answer.access_token as string,
    ...(answer.refresh_token !== undefined && { refreshToken: answer.refresh_token }),
    ...(answer.id_token !== undefined && { idToken: answer.id_token }),
    ...(idTokenExpiry !== undefined && { idTokenExpiry }),
    ...(answer.expires_in !== undefined && { expiresIn: answer.expires_in }),
  };
}
