import type { OidcCredentials } from "../backends/oidc_credentials_backend.ts";

/** The last time that a row can hold, and Python reads. */
export const LAST_TIME = Date.UTC(9999, 11, 31);

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
  /** End of the ID token, in seconds since the epoch. */
  idTokenExpiry?: number;
  /** The granted scope, where the provider states it. */
  scope?: string;
  /** Lifetime of the access token, in seconds. */
  expiresIn?: number;
  /** The private key of a new DPoP binding. Secret. */
  dpopKey?: JsonWebKey;
}

/** The bearer of an entry; `undefined` without a token that a request can carry. */
export function bearerOf(
  entry: OidcCredentials,
  kind: "access_token" | "id_token",
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

/** A bearer counts as expired for the last tenth of its lifetime, at most for 120 seconds. */
export function freshUntil({ expiresAt, lifetimeMs = Infinity }: Bearer): number {
  return expiresAt - Math.min(SKEW_SECONDS * 1000, lifetimeMs / 10);
}

/** Whether an entry was requested with all of `scope`. A row without a scope, from Python, counts. */
export function coversScope(entry: OidcCredentials, scope: string): boolean {
  if (typeof entry.scope !== "string" || entry.scope === scope) return true;
  const asked = new Set(entry.scope.split(" "));
  return scope.split(" ").every((name) => asked.has(name));
}

/** The unchecked claims of a token, or its header (part 0), for display and expiry only. */
export function readClaims(token: string, part: 0 | 1 = 1): Record<string, unknown> | undefined {
  try {
    // Deno before 2.5 has no Uint8Array.fromBase64.
    const text = atob(token.split(".")[part]!.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Longest time before its end for which a token counts as expired, in seconds: as in Python. */
export const SKEW_SECONDS = 120;

/**
 * Whether an entry's bearer token has expired, or is about to.
 *
 * @param entry The entry, of which only `expires_at` is looked at. A timestamp without a zone is
 * UTC; a missing or unreadable one counts as expired.
 * @param skewSeconds How long before its end a token counts as expired.
 * @returns `true` when the token should not be used any more.
 * @category Backends
 *
 * @example
 * ```ts
 * import { isExpired } from "@validmind/auth";
 * import { assert } from "@std/assert";
 *
 * assert(isExpired({ expires_at: "2020-01-01T00:00:00.123456+00:00" }));
 * assert(!isExpired({ expires_at: new Date(Date.now() + 300_000).toISOString() }));
 * assert(isExpired({ expires_at: new Date(Date.now() + 300_000).toISOString() }, 600));
 * ```
 */
export function isExpired(
  entry: { expires_at?: string | null },
  skewSeconds: number = SKEW_SECONDS,
): boolean {
  return Date.now() >= parseExpiry(entry.expires_at) - skewSeconds * 1000;
}

/** Milliseconds since the epoch; 0, long past, when the timestamp is missing or unreadable. */
export function parseExpiry(expiresAt: unknown): number {
  if (typeof expiresAt !== "string") return 0;
  const text = expiresAt.trim().replace(" ", "T");
  // Date.parse alone also takes "1" or "after 2099" for a date.
  if (!/^\d{4}-\d\d-\d\d(T|$)/i.test(text)) return 0;
  const hasZone = /(Z|[+-]\d\d(:?\d\d)?(:?\d\d)?)$/i.test(text.slice(10));
  const time = Date.parse(hasZone || text.length <= 10 ? text : `${text}Z`);
  return Number.isNaN(time) ? 0 : time;
}
