import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { parseExpiry, SKEW_SECONDS } from "../../backends/is_expired.ts";

/** The scope that is requested by default. */
export const DEFAULT_SCOPE = "openid profile email offline_access";

const ENTRA =
  /^https:\/\/login\.(microsoftonline\.(com|us)|partner\.microsoftonline\.cn)(:443)?(\/|$)/i;

/** The tokens of an entry that can be the bearer. */
export type TokenKind = "access_token" | "id_token";

/** Whether a flow asks no person, so that a new token needs no stored one. */
export function asksNobody(
  flow: string | undefined,
): flow is "client_credentials" | "token_exchange" {
  return flow === "client_credentials" || flow === "token_exchange";
}

/** The token that is the bearer for an issuer. */
export function bearerKind(
  bearer: "auto" | TokenKind,
  issuer: string,
  flow?: string,
): TokenKind {
  if (bearer !== "auto") return bearer;
  return !asksNobody(flow) && isEntraIssuer(issuer) ? "id_token" : "access_token";
}

/** Whether an issuer belongs to Microsoft Entra, in the public or a sovereign cloud. */
export function isEntraIssuer(issuer: string): boolean {
  return ENTRA.test(issuer);
}

/** The last time that a row can hold, and Python reads. */
export const LAST_TIME = Date.parse("9999-12-31");

/** The token that goes on requests. */
export interface Bearer {
  token: string;
  /** Its end, in milliseconds since the epoch. */
  expiresAt: number;
  /** Its lifetime in milliseconds, where that is known to be short. */
  lifetimeMs?: number;
  /** The private key that it is bound to, as it is stored. Secret. */
  dpopKey?: unknown;
}

/** Tokens that a provider has issued, after their checks. */
export interface TokenSet {
  accessToken: string;
  refreshToken?: string;
  idToken?: string;
  /** The granted scope, where the provider states it. */
  scope?: string;
  /** Lifetime of the access token, in seconds. */
  expiresIn?: number;
  /** The private key of a new DPoP binding. Secret. */
  dpopKey?: JsonWebKey;
  time: AnswerTime;
}

/** The time of the request that brought tokens: no token of its answer was there before. */
export interface AnswerTime {
  /** By the session's clock. */
  sentAt: number;
  /** By this computer's clock, whatever the session's is. */
  sent: number;
  /** By how many seconds the provider's clock is ahead of this computer's, where that is known. */
  skew?: number | undefined;
}

/** The bearer of an entry; `undefined` without a token that a request can carry. */
export function bearerOf(
  entry: OidcCredentials,
  kind: TokenKind,
): Bearer | undefined {
  const token = entry[kind];
  if (typeof token !== "string" || !isSendable(token)) return undefined;
  const stated = parseExpiry(entry.expires_at);
  // An ID token has an end of its own. A row written by Python has the end of the access token.
  const own = kind === "id_token" ? readClaims(token)?.exp : undefined;
  const expiresAt = typeof own === "number" ? Math.min(own * 1000, LAST_TIME) : stated;
  const { lifetime, dpop_key: dpopKey } = entry;
  return {
    token,
    expiresAt,
    ...(typeof lifetime === "number" && lifetime > 0 && { lifetimeMs: lifetime * 1000 }),
    ...(dpopKey !== undefined && { dpopKey }),
  };
}

/**
 * Whether a request can carry a token. A line break in it would begin another header where a program
 * prints it into one, and the error of `Headers` would quote it.
 */
export function isSendable(token: string): boolean {
  return /^[\x21-\x7e]+$/.test(token);
}

/** Whether a bearer is not about to end. */
export function isFresh(bearer: Bearer | undefined, now: number): bearer is Bearer {
  return bearer !== undefined && now < freshUntil(bearer);
}

/** Whether a bearer has not ended. */
export function isAlive(bearer: Bearer | undefined, now: number): bearer is Bearer {
  return bearer !== undefined && now < bearer.expiresAt;
}

/** A bearer counts as expired for the last tenth of its lifetime, at most for 120 seconds. */
export function freshUntil({ expiresAt, lifetimeMs = Infinity }: Bearer): number {
  return expiresAt - Math.min(SKEW_SECONDS * 1000, lifetimeMs / 10);
}

/** The end of a bearer, as events tell it. */
export function endOf(bearer: Bearer | undefined): { expiresAt?: Date } {
  return bearer ? { expiresAt: new Date(bearer.expiresAt) } : {};
}

/** Whether an entry was requested with all of `scope`. A row without a scope, from Python, counts. */
export function coversScope(entry: OidcCredentials, scope: string): boolean {
  if (typeof entry.scope !== "string") return true;
  const asked = new Set(entry.scope.split(" "));
  return scope.split(" ").every((name) => asked.has(name));
}

/** The unchecked claims of a token, or its header (part 0), for display and expiry only. */
export function readClaims(token: unknown, part: 0 | 1 = 1): Record<string, unknown> | undefined {
  try {
    // Deno before 2.5 has no Uint8Array.fromBase64.
    const text = atob(`${token}`.split(".")[part]!.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) ?? undefined;
  } catch {
    return undefined;
  }
}
