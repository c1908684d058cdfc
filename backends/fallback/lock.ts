import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { MemoryCredentialsBackend } from "../memory.ts";
import type { OidcCredentialsBackend, WithLockOptions } from "../oidc_credentials_backend.ts";

/**
 * The lock of a key over several stores: that of each store that has one and can be reached. Two
 * processes that reach different stores exclude each other by those that both reach, and a store
 * whose lock could not be had is not used under the lock.
 */
export class FallbackLock {
  readonly #stores: readonly OidcCredentialsBackend[];
  /** One at a time in this process, also where no store can be locked. */
  readonly #turns = new MemoryCredentialsBackend();
  readonly #missed = new Map<string, Map<OidcCredentialsBackend, CredentialsBackendError>>();

  constructor(stores: readonly OidcCredentialsBackend[]) {
    // By place, not by rank: two settings that rank their stores differently must not wait for each
    // other for ever.
    this.#stores = stores.filter(({ withLock }) => withLock !== undefined)
      .toSorted((a, b) => placeOf(a) < placeOf(b) ? -1 : 1);
  }

  /** Whether there is any lock. */
  get exists(): boolean {
    return this.#stores.length > 0;
  }

  /** Why a store may not be used for a key as long as the key's lock is held here. */
  missed(key: string, store: OidcCredentialsBackend): CredentialsBackendError | undefined {
    return this.#missed.get(key)?.get(store);
  }

  /** Runs `fn` under all locks that can be had. */
  async run<T>(key: string, fn: () => Promise<T>, options: WithLockOptions<T>): Promise<T> {
    const { signal } = options;
    return await this.#turns.withLock(key, async () => {
      this.#missed.set(key, new Map());
      try {
        return await this.#runFrom(0, key, fn, options);
      } finally {
        this.#missed.delete(key);
      }
    }, signal === undefined ? {} : { signal });
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

function placeOf({ location = "" }: OidcCredentialsBackend): string {
  return location;
}

/** Whether a store did not answer: it then counts as empty. */
export function isUnreachable(error: unknown): error is CredentialsBackendError {
  return error instanceof CredentialsBackendError &&
    (error.code === "backend_unavailable" || error.code === "backend_timeout");
}
