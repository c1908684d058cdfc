import { printable } from "../common/printable.ts";
import { Queue } from "../common/queue.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { OidcCredentialsBackend, WithLockOptions } from "../oidc_credentials_backend.ts";

/**
 * The lock of a key over several stores: the locks of all stores that have one and can be reached.
 * Two processes that reach different stores exclude each other by the stores that both reach. A store
 * whose lock was not acquired is not used under the lock.
 */
export class FallbackLock {
  readonly #stores: readonly OidcCredentialsBackend[];
  /** One at a time in this process, also where no store can be locked. */
  readonly #queue = new Queue();
  readonly #missed = new Map<string, Map<OidcCredentialsBackend, CredentialsBackendError>>();

  constructor(stores: readonly OidcCredentialsBackend[]) {
    // By place, not by rank: two settings that rank their stores differently must not deadlock.
    this.#stores = stores.filter(({ withLock }) => withLock !== undefined)
      .toSorted(({ location: a = "" }, { location: b = "" }) => a < b ? -1 : 1);
  }

  /** Whether there is any lock. */
  get exists(): boolean {
    return this.#stores.length > 0;
  }

  /** The error for which a store may not be used while this process holds the key's lock. */
  missed(key: string, store: OidcCredentialsBackend): CredentialsBackendError | undefined {
    return this.#missed.get(key)?.get(store);
  }

  /** Runs `fn` under all locks that can be acquired. */
  async run<T>(key: string, fn: () => Promise<T>, options: WithLockOptions<T>): Promise<T> {
    return await this.#queue.run(key, async () => {
      this.#missed.set(key, new Map());
      try {
        return await this.#runFrom(0, key, fn, options);
      } finally {
        this.#missed.delete(key);
      }
    }, options.signal);
  }

  async #runFrom<T>(
    index: number,
    key: string,
    fn: () => Promise<T>,
    options: WithLockOptions<T>,
  ): Promise<T> {
    const store = this.#stores[index];
    if (store === undefined) return await fn();
    const next = () => this.#runFrom(index + 1, key, fn, options);
    let hasBegun = false;
    try {
      return await store.withLock!(key, () => {
        hasBegun = true;
        return next();
      }, options);
    } catch (error) {
      if (hasBegun || !isUnreachable(error)) throw error;
      this.#missed.get(key)?.set(store, error);
      return await next();
    }
  }
}

/** A store in words. */
export function placeOf(store: OidcCredentialsBackend): string {
  return printable(store.location ?? (store.constructor?.name || "an unnamed backend"));
}

/** Whether a store did not answer. */
export function isUnreachable(error: unknown): error is CredentialsBackendError {
  return error instanceof CredentialsBackendError &&
    (error.code === "backend_unavailable" || error.code === "backend_timeout");
}
