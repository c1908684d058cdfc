import { given } from "../../backends/common/json.ts";
import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import {
  type AnswerTime,
  LAST_TIME,
  readClaims,
  type TokenKind,
  type TokenSet,
} from "../entry/bearer.ts";
import { SKEW_SECONDS } from "../../backends/is_expired.ts";
import type { OidcIdentity } from "../options/resolve_identity.ts";
import type { TokenSourceOptions } from "./held_tokens.ts";

/** Lifetime of a token where the provider states none, in seconds: as in the Python library. */
const DEFAULT_SECONDS = 3600;

/**
 * The entry for new tokens. A refresh token or an ID token that the provider did not send again stays,
 * and so do the fields of other programs.
 *
 * @param kind The token that goes on requests.
 * @param issuedAt When the tokens were issued.
 */
export function toEntry(
  tokens: TokenSet,
  identity: OidcIdentity,
  kind: TokenKind,
  issuedAt: number,
  previous?: OidcCredentials,
): OidcCredentials {
  const { lifetime: _, granted_scope, ...kept }: Partial<OidcCredentials> = previous ?? {};
  const expiresAt = Math.min(endOfBearer(tokens, kind, issuedAt), LAST_TIME);
  const asked = previous ? previous.scope : identity.scope;
  const granted = tokens.scope ?? granted_scope;
  return {
    ...kept,
    issuer: identity.issuer,
    client_id: identity.clientId,
    access_token: tokens.accessToken,
    refresh_token: tokens.refreshToken ?? previous?.refresh_token ?? null,
    id_token: tokens.idToken ?? previous?.id_token ?? null,
    expires_at: new Date(expiresAt).toISOString(),
    ...given({
      lifetime: shortLifetime(expiresAt - issuedAt),
      audience: identity.audience,
      scope: previous ? undefined : identity.scope,
      // Absent where it says nothing new, so that other rows stay as Python writes them.
      granted_scope: inOrder(granted) === inOrder(asked) ? undefined : granted,
      dpop_key: tokens.dpopKey,
    }),
  };
}

/** The names of a scope in one order, since theirs says nothing. That of a damaged row is none. */
function inOrder(scope: unknown) {
  return typeof scope === "string" && scope.split(" ").toSorted().join(" ");
}

/** The end of the bearer: that of an ID token by its claims, and that of another token as it is stated. */
function endOfBearer(tokens: TokenSet, kind: TokenKind, issuedAt: number) {
  const { expiresIn, idToken, accessToken } = tokens;
  const claimed = (token: string) => Number(readClaims(token)?.exp) * 1000;
  if (kind === "id_token" && idToken !== undefined) return claimed(idToken);
  if (expiresIn) return issuedAt + expiresIn * 1000;
  const end = claimed(accessToken);
  if (end > issuedAt) return end;
  return issuedAt + DEFAULT_SECONDS * 1000;
}

/** A lifetime in seconds where it shortens the skew, for the same reason. */
function shortLifetime(ms: number) {
  if (ms > 0 && ms < SKEW_SECONDS * 10_000) return ms / 1000;
  return undefined;
}

/** A smaller difference of the clocks changes nothing: an answer has been on its way for some time. */
const SLACK_SECONDS = 10;

/**
 * Lets the clock of a session follow the provider's: a stored end has to be right on other computers, and
 * after this one's clock is set. The clock of a caller is believed. So is this computer's where the bearer
 * is an ID token, which has an end of its own.
 *
 * @param skews In seconds, by issuer. A session that joins another one's refresh has seen no answer itself.
 * @returns Learns from the answer that brought new tokens how far the provider's clock is ahead. Gives the
 * time at which they were issued, by the session's clock; rather too early than too late.
 */
export function followProvider(
  { identity: { issuer }, bearer, runtime }: TokenSourceOptions,
  skews: Map<string, number>,
): (time: AnswerTime) => number {
  const isFollowing = bearer === "access_token" && runtime.now === Date.now;
  const aheadMs = () => {
    const skew = skews.get(issuer) ?? 0;
    if (Math.abs(skew) <= SLACK_SECONDS) return 0;
    return skew * 1000;
  };
  if (isFollowing) runtime.now = () => Date.now() + aheadMs();
  return ({ sentAt, sent, skew }) => {
    if (skew !== undefined) skews.set(issuer, skew);
    return isFollowing ? sent + aheadMs() : sentAt;
  };
}
