import type { OidcCredentialsBackend } from "../oidc_credentials_backend.ts";
import { hashOf } from "./bytes.ts";
import { backendName } from "./describe_backend.ts";

/**
 * Marks a store whose `withLock` proves, once the lock is held and before `fn` runs, that the store can
 * be written. It throws the coded error where it cannot. Its `put` asks `isReplaced` right before the
 * write. In every other store that keeps its entries, the client writes and removes an entry under
 * {@linkcode probeKey} at this moment, and looks before it writes.
 */
export const PROVES: unique symbol = Symbol.for("@validmind/auth: proves its writes");

/** The stores in which a wrapper keeps its entries. */
export const INNER: unique symbol = Symbol.for("@validmind/auth: inner stores");

/** A store with its marks. */
export interface Marked extends OidcCredentialsBackend {
  readonly [PROVES]?: boolean;
  readonly [INNER]?: readonly Marked[];
}

/** Whether a store proves its own writes. A wrapper does where all of its stores do. */
export function provesWrites(backend: Marked): boolean {
  return backend[INNER]?.every(provesWrites) ?? backend[PROVES] === true;
}

/**
 * The key of the probe entry that goes with `key`: the same at each start, so that a later one removes it. Of
 * an encrypted row it is the row of the encrypted probe.
 */
export async function probeKey(key: string): Promise<string> {
  const [, prefix = "", name = ""] = /^(encrypted\|)?(.*)$/s.exec(key)!;
  return `${prefix}probe|${(await hashOf(name)).slice(0, 16)}`;
}

/** Whether a key is one of a probe entry, which no list shows; also below an encryption. */
export function isProbeKey(key: string): boolean {
  return /^(encrypted\|)?probe\|/.test(key);
}

/** Whether two backends lead to one store, or share one within them, as far as can be told. */
export function shareStore(one: Marked, other: Marked): boolean {
  const inner = one[INNER];
  if (inner) return inner.some((store) => shareStore(store, other));
  if (other[INNER] !== undefined) return shareStore(other, one);
  return one === other || one.storeId !== undefined && one.storeId === other.storeId;
}

/** One identity of several; `undefined` where a part has none. */
export function joinIds(...ids: readonly (string | undefined)[]): string | undefined {
  return ids.includes(undefined) ? undefined : JSON.stringify(ids);
}

/** Whether a store, or one within it, is in Deno KV, which needs `--unstable-kv`. */
export function isInKv(backend: Marked): boolean {
  return backendName(backend) === "KvCredentialsBackend" || backend[INNER]?.some(isInKv) === true;
}
