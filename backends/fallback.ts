/**
 * A list of stores in order, for hosts where the first one is not always available.
 * {@linkcode FallbackCredentialsBackend} uses the first store that answers, and reports each store
 * that it passes over.
 *
 * ```ts
 * import { FileCredentialsBackend, setDefaultBackend } from "@validmind/auth";
 * import { FallbackCredentialsBackend } from "@validmind/auth/backends/fallback";
 * import { KeychainCredentialsBackend } from "@validmind/auth/backends/keychain";
 *
 * // From now on every sign-in of this process is kept there.
 * setDefaultBackend(
 *   new FallbackCredentialsBackend({
 *     backends: [new KeychainCredentialsBackend(), new FileCredentialsBackend()],
 *   }),
 * );
 * ```
 *
 * Without code, by variables, and with an encrypted file:
 *
 * ```sh
 * export VM_OIDC_CREDENTIALS_BACKEND=fallback
 * export VM_OIDC_CREDENTIALS_BACKEND_KWARGS='{"backends": [
 *   "keychain",
 *   {"name": "encrypted", "options": {
 *     "backend": {"name": "file", "options": {"path": "/srv/tokens/${USER}.json"}},
 *     "key": {"env": "TOKENS_KEY"}
 *   }}
 * ]}'
 * ```
 *
 * Needs the permissions of all stores in the list.
 *
 * More: [fallback](README.md#fallback).
 *
 * @module
 */
import { assertCredentialsBackend, backendName, locationOf } from "./common/describe_backend.ts";
import { checkOptions, invalidOptions } from "./common/check_options.ts";
import { entryFrom } from "./common/read_backend.ts";
import { INNER, isProbeKey, joinIds, probeKey } from "./common/marks.ts";
import { printable } from "./common/printable.ts";
import { Queue } from "./common/promises.ts";
import { assertRuntime, warnOnStderr } from "./common/runtime.ts";
import { limitAbilities } from "./common/wrap_backend.ts";
import {
  CredentialsBackendError,
  type CredentialsBackendErrorCode,
} from "./credentials_backend_error.ts";
import type {
  BackendPermission,
  MaybePromise,
  OidcCredentials,
  OidcCredentialsBackend,
  PutOptions,
  WithLockOptions,
} from "./oidc_credentials_backend.ts";

/**
 * Options of {@linkcode FallbackCredentialsBackend}.
 *
 * @category Backends
 */
export interface FallbackCredentialsBackendOptions {
  /** The stores, the preferred one first. */
  backends: readonly OidcCredentialsBackend[];
}

/**
 * Uses the first of several backends that answers, such as the OS keychain, and an encrypted file on
 * hosts without one. Only the stores of this list are used. Each store that is passed over is
 * reported on standard error, by its `location` and the code of the reason.
 *
 * **The choice** is made once in a process, at the first use. A store whose first answer is
 * `backend_unavailable` or `backend_timeout` is passed over from then on. Any other failure is an
 * error, such as `backend_denied`, `keychain_locked` or `backend_corrupt`. So is each failure of a
 * store that has answered before. If no store answers, that is an error, and the next use tries all
 * of them again.
 *
 * **An entry** is read from the first store that has it, and written back there. A new one goes to the
 * first store. A refusal, such as `backend_too_large`, is an error: no other store is tried.
 *
 * **A sign-out** removes the entry from all stores, also from those that were passed over, and
 * reports each one that it could not reach. If it reaches none, that is an error. An entry that stays
 * in such a store may be used again later, even after a sign-in to another store. Sign out once more
 * when the store answers.
 *
 * The lock of an entry is that of its store. `list` and `deleteAll` exist if every store has them,
 * and `requiredPermissions` if every store declares its permissions. `close` closes all stores.
 *
 * Needs the permissions of its backends.
 *
 * @category Backends
 *
 * @example
 * ```ts
 * import { type OidcCredentialsBackend, MemoryCredentialsBackend } from "@validmind/auth";
 * import { CredentialsBackendError } from "@validmind/auth";
 * import { FallbackCredentialsBackend } from "@validmind/auth/backends/fallback";
 * import { assertEquals } from "@std/assert";
 *
 * const away = () => {
 *   const parts = { action: "reach it", reason: "no answer came", remedy: "Wait." };
 *   throw new CredentialsBackendError("backend_unavailable", parts);
 * };
 * const first: OidcCredentialsBackend = { get: away, put: away, delete: away };
 * const backend = new FallbackCredentialsBackend({
 *   backends: [first, new MemoryCredentialsBackend()],
 * });
 * const entry = { issuer: "https://login.example.com", client_id: "my-app", access_token: "…" };
 * await backend.put("k", entry);
 * assertEquals(backend.location, "the memory of this process");
 * ```
 */
export class FallbackCredentialsBackend implements OidcCredentialsBackend {
  /** The name of the class, also in minified code. */
  static readonly name = "FallbackCredentialsBackend";
  readonly #backends: readonly OidcCredentialsBackend[];
  /** Whether a store can be used, once that is known. */
  readonly #chosen = new Map<OidcCredentialsBackend, boolean>();
  /** Locks entries of a store without a lock, in this process. */
  readonly #queue = new Queue();
  /** The store of the entry to which a probe belongs, while its lock is held. */
  readonly #probed = new Map<string, OidcCredentialsBackend>();

  /**
   * Touches no store yet.
   *
   * @param options The stores.
   * @throws {CredentialsBackendError} `invalid_options`, `invalid_backend`,
   * `runtime_unsupported`.
   */
  constructor(options: FallbackCredentialsBackendOptions) {
    assertRuntime(ACTION);
    checkOptions(ACTION, options, { backends: "array" });
    const { backends = [] } = options;
    if (backends.length === 0) {
      const remedy = "Give one or more, in their order.";
      throw invalidOptions(ACTION, 'option "backends" is empty', remedy);
    }
    for (const [index, one] of backends.entries()) {
      assertCredentialsBackend(one, `backends[${index}] of FallbackCredentialsBackend`);
    }
    this.#backends = [...backends];
    limitAbilities(this, (name) => {
      const has = (store: OidcCredentialsBackend) => store[name] !== undefined;
      if (name === "withLock") return backends.some(has);
      return backends.every(has);
    });
  }

  /** `true` only when entries survive the process in every store. */
  get persistent(): boolean | undefined {
    const answers = this.#backends.map((store) => store.persistent);
    if (answers.includes(false)) return false;
    if (answers.includes(undefined)) return undefined;
    return true;
  }

  /** The places of the stores that were not passed over, in their order. */
  get location(): string {
    return this.#usable().map(placeOf).join(", else ");
  }

  /** The identities of all stores, where each has one. */
  get storeId(): string | undefined {
    return joinIds(...this.#backends.map(({ storeId }) => storeId));
  }

  /**
   * All stores.
   *
   * @ignore
   */
  get [INNER](): readonly OidcCredentialsBackend[] {
    return this.#backends;
  }

  /**
   * The entry under `key` in the first store that has one, or `undefined`.
   *
   * @throws {CredentialsBackendError} The error of a store, by the rules above.
   */
  async get(key: string): Promise<OidcCredentials | undefined> {
    return (await this.#find(key)).entry;
  }

  /**
   * Stores `entry` in the store that has an entry under `key`, else in the first one.
   *
   * @returns The answer of that store: `false` where `isReplaced` refused there.
   * @throws {CredentialsBackendError} The error of a store, by the rules above.
   */
  async put(
    key: string,
    entry: OidcCredentials,
    options?: PutOptions,
  ): Promise<boolean | void> {
    const { store } = await this.#find(key);
    return await store.put(key, entry, options);
  }

  /**
   * Removes the entry under `key` from every store. One that cannot be reached is reported.
   *
   * @throws {CredentialsBackendError} The error of a store, after all were tried.
   */
  async delete(key: string): Promise<void> {
    const stores = isProbeKey(key) ? this.#usable(key) : this.#backends;
    await this.#removeFrom(stores, (store) => store.delete(key), key);
  }

  /** Takes the lock of the store that has the entry. Present where a store has a lock. */
  async withLock?<T>(
    key: string,
    fn: () => Promise<T>,
    options?: WithLockOptions<T>,
  ): Promise<T> {
    const { store } = await this.#find(key);
    const probe = await probeKey(key);
    const run = async () => {
      this.#probed.set(probe, store);
      try {
        return await fn();
      } finally {
        this.#probed.delete(probe);
      }
    };
    return await (store.withLock?.(key, run, options) ??
      this.#queue.run(key, run, options?.signal));
  }

  /** The keys of all stores. Present where every store lists. */
  async *list?(): AsyncGenerator<string> {
    const keys = new Set<string>();
    await this.#first(async (store) => {
      for await (const key of store.list!()) keys.add(key);
    });
    yield* keys;
  }

  /** Removes every entry from each store. Present where every store can. */
  async deleteAll?(): Promise<void> {
    await this.#removeFrom(this.#backends, (store) => store.deleteAll!());
  }

  /** Present where every store declares its permissions. */
  requiredPermissions?(): BackendPermission[] {
    return this.#backends.flatMap((store) => store.requiredPermissions!());
  }

  /** Closes every store. */
  async close(): Promise<void> {
    await Promise.all(this.#backends.map(async (one) => await one.close?.()));
  }

  /** The stores that may have an entry. A probe is in one of them. */
  #usable(key = "") {
    const probed = this.#probed.get(key);
    if (probed) return [probed];
    return this.#backends.filter((one) => this.#chosen.get(one) !== false);
  }

  /** Runs `run` in each store, in their order, until it gives something. */
  async #first<T>(
    run: (store: OidcCredentialsBackend) => MaybePromise<T | undefined>,
    key?: string,
  ) {
    const stores = this.#usable(key);
    const away = new Map<OidcCredentialsBackend, CredentialsBackendErrorCode>();
    let found: T | undefined;
    for (const store of stores) {
      try {
        found = await run(store);
        this.#chosen.set(store, true);
        if (found !== undefined) break;
      } catch (error) {
        if (this.#chosen.get(store) || !isUnreachable(error)) throw error;
        away.set(store, error.code);
      }
    }
    if (away.size === stores.length) {
      throw new CredentialsBackendError(away.get(stores.at(-1)!)!, {
        action: "use the credentials",
        reason: `none of these stores answers: ${placesOf(away)}`,
        remedy: "Repair one, or add another one to the list.",
      });
    }
    this.#passOver(away);
    return found;
  }

  /** Uses these stores no more, and tells of each once: another call may have done so meanwhile. */
  #passOver(away: ReadonlyMap<OidcCredentialsBackend, CredentialsBackendErrorCode>) {
    const fresh = [...away].filter(([store]) => !this.#chosen.has(store));
    if (fresh.length === 0) return;
    for (const [store] of fresh) this.#chosen.set(store, false);
    warnOnStderr(`${placesOf(fresh)} is passed over: this process uses ${this.location}.`);
  }

  /** The entry with its store; without an entry the store of a new one. */
  async #find(
    key: string,
  ): Promise<{ store: OidcCredentialsBackend; entry?: OidcCredentials }> {
    const found = await this.#first(async (store) => {
      const entry = entryFrom(store, await store.get(key));
      return entry && { store, entry };
    }, key);
    return found ?? { store: this.#usable(key)[0]! };
  }

  /** A failure of a store is thrown at the end. For what a probe left, nobody is told of a missed store. */
  async #removeFrom(
    stores: readonly OidcCredentialsBackend[],
    remove: (store: OidcCredentialsBackend) => MaybePromise<void>,
    key = "",
  ) {
    const faults: unknown[] = [];
    const missed: unknown[] = [];
    for (const store of stores) {
      try {
        await remove(store);
      } catch (error) {
        if (this.#chosen.get(store) || !isUnreachable(error)) {
          faults.push(error);
          continue;
        }
        missed.push(error);
        if (isProbeKey(key)) continue;
        const advice = "if it has the entry, that stays. Sign out again once it answers";
        warnOnStderr(`${placeOf(store)} could not be reached (${error.code}): ${advice}.`);
      }
    }
    if (faults.length > 0) throw faults[0];
    if (missed.length === stores.length) throw missed.at(-1);
  }
}

const ACTION = "create FallbackCredentialsBackend";

function placeOf(store: OidcCredentialsBackend) {
  return printable(locationOf(store) ?? backendName(store));
}

/** The stores that were passed over, each with its reason. */
function placesOf(away: Iterable<[OidcCredentialsBackend, CredentialsBackendErrorCode]>) {
  return Array.from(away, ([store, code]) => `${placeOf(store)} (${code})`).join(", ");
}

function isUnreachable(error: unknown): error is CredentialsBackendError {
  return error instanceof CredentialsBackendError &&
    ["backend_unavailable", "backend_timeout"].includes(error.code);
}
