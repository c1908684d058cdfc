/** Longest time before its end for which a token counts as expired, in seconds: as in Python. */
export const SKEW_SECONDS = 120;

/**
 * Whether an entry's bearer token has expired, or is about to.
 *
 * @param entry The entry. Only its `expires_at` counts. A timestamp without a zone is UTC. A missing
 * or unreadable one counts as expired.
 * @param skewSeconds How long before its end a token counts as expired, in seconds; 120 by default.
 * @returns `true` if the token should no longer be used.
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
  const hasTime = text.length > 10;
  const hasZone = /(Z|[+-]\d\d(:?\d\d)?(:?\d\d)?)$/i.test(text.slice(10));
  const zone = hasTime && !hasZone && "Z" || "";
  return Date.parse(text + zone) || 0;
}
