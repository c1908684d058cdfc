import type { OidcCredentialsBackend } from "../oidc_credentials_backend.ts";

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
