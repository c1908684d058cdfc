/**
 * Marks a store whose `withLock` proves, once the lock is held and before `fn` runs, that the store can
 * be written. It throws the coded error where it cannot. In every other store that keeps its entries, the
 * client writes and removes an entry under {@linkcode probeKey} at this moment.
 */
export const PROVES: unique symbol = Symbol.for("@validmind/auth: proves its writes");

/** A store that may prove its own writes. A wrapper gives the value of the wrapped store. */
export interface Proving {
  readonly [PROVES]?: boolean;
}

/** Whether a store proves its own writes. A getter that throws means that it does not. */
export function provesWrites(backend: object): boolean {
  try {
    return (backend as Proving)[PROVES] === true;
  } catch {
    return false;
  }
}

const PREFIX = "probe|";

/** The key of the probe entry that goes with `key`: the same at each start, so that a later one removes it. */
export async function probeKey(key: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
  const bytes = new Uint8Array(digest).subarray(0, 8);
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${PREFIX}${hex}`;
}

/** Whether a key is one of a probe entry, which no list shows. */
export function isProbeKey(key: string): boolean {
  return key.startsWith(PREFIX);
}
