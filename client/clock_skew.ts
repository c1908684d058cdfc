/** A clock that is further off than this is to be put right: certificates fail by it, too. */
const MAX_SECONDS = 15 * 60;

/**
 * How far the provider's clock is ahead of this computer's, in seconds, by the `Date` header of the
 * answer that brought the tokens.
 *
 * The times in an ID token are the provider's. A wide tolerance would let them pass on a clock that
 * is off, and with them a token that has ended; measured by the provider's own clock they are judged
 * to the second on any. The header is as good as the token: both come over the same TLS connection,
 * and who can forge the one can forge the other.
 *
 * @returns 0 where the header says nothing, or more than a clock is likely to be off.
 */
export function clockSkew(date: string | null, now: number = Date.now()): number {
  const seconds = Math.round((Date.parse(date ?? "") - now) / 1000);
  return Math.abs(seconds) <= MAX_SECONDS ? seconds : 0;
}
