import { toHex } from "./printable.ts";

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

/** Whether a store proves its own writes. */
export function provesWrites(backend: object): boolean {
  return (backend as Proving)[PROVES] === true;
}

const PREFIX = "probe|";

/** The key of the probe entry that goes with `key`: the same at each start, so that a later one removes it. */
export async function probeKey(key: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
  return `${PREFIX}${toHex(new Uint8Array(digest, 0, 8))}`;
}

/** Whether a key is one of a probe entry, which no list shows. */
export function isProbeKey(key: string): boolean {
  return key.startsWith(PREFIX);
}
