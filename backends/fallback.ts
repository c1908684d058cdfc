/**
 * An ordered list of credentials backends, for hosts where the first one is not always available:
 * {@linkcode FallbackCredentialsBackend} keeps each entry in the first one that takes it, and says
 * when it passes one over.
 *
 * By variables, with no code of the user's:
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
 * @module
 */

import {
  assertReadableBackend,
  backendError,
  classNameOf,
  locationOf,
  memberOf,
} from "./common/describe_backend.ts";
import { assertRuntime, writeError } from "./common/platform.ts";
import { checkOptions, CredentialsBackendError, keepName } from "./credentials_backend_error.ts";
import type { CredentialsBackendErrorCode } from "./credentials_backend_error.ts";
import { newest } from "./fallback/copy.ts";
import { copiesIn, fallbackLock, FallbackStores, type Missed, placeOf } from "./fallback/stores.ts";
import type {
  BackendPermission,
  MaybePromise,
  OidcCredentials,
  OidcCredentialsBackend,
  PutOptions,
} from "./oidc_credentials_backend.ts";

/**
 * Options of {@linkcode FallbackCredentialsBackend}.
 *
 * @category Backends
 */
export interface FallbackCredentialsBackendOptions {
  /** The stores, the preferred one first. */
  backends: readonly OidcCredentialsBackend[];
  /**
   * Receives an event for a store that was passed over, once for each store and reason.
   *
   * @default a line on standard error
   */
  onFallback?: (event: FallbackEvent) => void;
}

/**
 * A store that was passed over. Holds no secret.
 *
 * @category Backends
 */
export interface FallbackEvent {
  /** The action that did not reach the store. */
  readonly action: "store" | "delete" | "list";
  /** The store, by its `location`. */
  readonly missed: string;
  /** The reason. */
  readonly code: CredentialsBackendErrorCode;
  /** The store that took the entry instead. Only for `store`. */
  readonly used?: string;
  /** The event in words. */
  readonly message: string;
}

/**
 * The state of a credential in one store. Holds no secret.
 *
 * @category Backends
 */
export interface FallbackStatus {
  /** The class of the store. */
  readonly name: string;
  /** Its place, in words. */
  readonly location?: string;
  /** Whether it holds a copy. `failed` where it reported an error. */
  readonly state: "holds" | "absent" | "failed";
  /** The code of that error. */
  readonly code?: CredentialsBackendErrorCode;
  /** Whether its copy is the newest one, which is used. */
  readonly inUse: boolean;
}

/**
 * Keeps each entry in the first of several backends that takes it, for instance in the OS keychain
 * and, on hosts without one, in an encrypted file. Only the stores of this list are used, and each
 * store that is passed over is reported.
 *
 * | error of a store | reading, deleting, listing | writing |
 * |---|---|---|
 * | `backend_unavailable`, `backend_timeout` when it is read | the store is passed over | the next store |
 * | the same when it is written to | | an error: the write may have been done |
 * | `backend_too_large`, `backend_full` | an error | the next store |
 * | any other, such as `backend_denied`, `keychain_locked`, `backend_corrupt` | an error | an error |
 *
 * **One copy counts.** All stores are read, and the newest copy is used. The order of copies hangs on
 * no clock: each write counts on from the copies that it sees. Older copies are marked before a newer
 * one is written, and removed after it. A copy that stays, in a full store for instance, is reported,
 * and does not count.
 *
 * **A store that does not answer** may be passed over only where a later store of the list answers,
 * and a write goes to a store only while all later ones answer. So a copy in a later store is the
 * newest, whatever the silent stores hold. It is an error, with the code of the silent store, where
 * the copy that can be read need not be the newest: it is in an earlier store than the silent one, or
 * it is marked; where this process has seen the entry in the silent store; and where the last store
 * does not answer. Put the store last that is always available, and give all programs that share the
 * stores one order.
 *
 * Where no store that answers has a copy, a person may have to sign in a second time. The two
 * sign-ins do not disturb each other, and the later one is used from then on. The silent store's copy
 * survives a sign-out, which is reported.
 *
 * **The lock** is the locks of all stores that have one and answer, in one order for all programs.
 * Without any there is none. `list` and `deleteAll` exist where every store has them,
 * `requiredPermissions` where every store declares its permissions. `close` closes all stores.
 *
 * Needs the permissions of its backends.
 *
 * @category Backends
 *
 * @example
 * ```ts
 * import { KvCredentialsBackend, MemoryCredentialsBackend } from "@validmind/auth";
 * import { FallbackCredentialsBackend } from "@validmind/auth/backends/fallback";
 * import { assertEquals } from "@std/assert";
 *
 * const backend = new FallbackCredentialsBackend({
 *   backends: [new KvCredentialsBackend(), new MemoryCredentialsBackend()],
 *   onFallback: () => {},
 * });
 * const entry = { issuer: "https://login.example.com", client_id: "my-app", access_token: "…" };
 * await backend.put("k", { ...entry, id_token: "t".repeat(600_000) }); // too large for Deno KV
 * const [kv, memory] = await backend.status("k");
 * assertEquals([kv?.inUse, memory?.inUse], [false, true]);
 * await backend.close();
 * ```
 */
export class FallbackCredentialsBackend implements OidcCredentialsBackend {
  static {
    keepName(this, "FallbackCredentialsBackend");
  }

  /** Present where a store has a lock. */
  readonly withLock?: OidcCredentialsBackend["withLock"];
  /** Present where every store lists: the keys of all. */
  readonly list?: () => AsyncIterable<string>;
  /** Present where every store can: removes every entry from each. */
  readonly deleteAll?: () => Promise<void>;
  /** Present where every store declares its permissions. */
  readonly requiredPermissions?: () => BackendPermission[];
  readonly #backends: readonly OidcCredentialsBackend[];
  readonly #stores: FallbackStores;
  readonly #onFallback: (event: FallbackEvent) => void;
  readonly #reported = new Set<string>();

  /**
   * Touches no store yet.
   *
   * @param options The stores.
   * @throws {CredentialsBackendError} `invalid_options`, `invalid_backend`,
   * `runtime_unsupported`.
   */
  constructor(options: FallbackCredentialsBackendOptions) {
    assertRuntime(ACTION);
    checkOptions(ACTION, options, { backends: "array", onFallback: "function" });
    const { backends, onFallback = reportOnStderr } = options;
    checkBackends(backends);
    const lock = fallbackLock(backends);
    this.#backends = [...backends];
    this.#stores = new FallbackStores(this.#backends, lock);
    this.#onFallback = onFallback;
    if (lock.exists) this.withLock = (key, fn, options = {}) => lock.run(key, fn, options);
    if (backends.every(({ list }) => list !== undefined)) this.list = () => this.#list();
    if (backends.every(({ deleteAll }) => deleteAll !== undefined)) {
      this.deleteAll = () => this.#each("delete", (store) => store.deleteAll!());
    }
    if (backends.every(({ requiredPermissions }) => requiredPermissions !== undefined)) {
      this.requiredPermissions = () => backends.flatMap((store) => store.requiredPermissions!());
    }
  }

  /** `true` only when entries survive the process in every store. */
  get persistent(): boolean | undefined {
    const answers = this.#backends.map((store) => memberOf(store, "persistent"));
    if (answers.includes(false)) return false;
    return answers.includes(undefined) ? undefined : true;
  }

  /** All places in their order. {@linkcode status} tells the place of an entry. */
  get location(): string {
    return this.#backends.map(placeOf).join(", else ");
  }

  /**
   * The newest copy of the entry under `key`, or `undefined` where no store that answers has one.
   *
   * @throws {CredentialsBackendError} The error of a store, by the rules above.
   */
  get(key: string): Promise<OidcCredentials | undefined> {
    return this.#stores.get(key);
  }

  /**
   * Stores `entry` in the first store that takes it, and removes other copies. The store that holds the
   * present entry honours `isReplaced` where it can.
   *
   * @throws {CredentialsBackendError} The error of a store, by the rules above. Where no store takes
   * the entry, it has the code of the last one.
   */
  async put(key: string, entry: OidcCredentials, options?: PutOptions): Promise<void> {
    const stored = await this.#stores.put(key, entry, options?.isReplaced);
    if (stored === undefined) return;
    const { used, missed, left } = stored;
    for (const one of missed) this.#report("store", one, used);
    for (const one of left) this.#report("delete", one);
  }

  /**
   * Removes the entry under `key` from every store that answers.
   *
   * @throws {CredentialsBackendError} The error of a store, after all were tried.
   */
  async delete(key: string): Promise<void> {
    for (const one of await this.#stores.delete(key)) this.#report("delete", one);
  }

  /**
   * The state of a credential in each store.
   *
   * @param key The credential key.
   * @returns One status for each store, in their order. The error of a store is part of its status.
   */
  async status(key: string): Promise<FallbackStatus[]> {
    const looks = await this.#stores.look(key);
    const chosen = newest(copiesIn(looks));
    return looks.map(({ store, copy, error }): FallbackStatus => {
      const location = locationOf(store);
      return {
        name: classNameOf(store) || "unnamed",
        ...(location !== undefined && { location }),
        state: error !== undefined ? "failed" : copy === undefined ? "absent" : "holds",
        ...(error instanceof CredentialsBackendError && {
          code: backendError("read", store, error).code,
        }),
        inUse: copy !== undefined && copy === chosen,
      };
    });
  }

  /** Closes every store. */
  async close(): Promise<void> {
    const closed = await Promise.allSettled(this.#backends.map(async (one) => await one.close?.()));
    for (const result of closed) if (result.status === "rejected") throw result.reason;
  }

  async *#list(): AsyncGenerator<string> {
    const keys = new Set<string>();
    await this.#each("list", async (store) => {
      for await (const key of store.list!()) keys.add(key);
    });
    yield* keys;
  }

  async #each(
    action: FallbackEvent["action"],
    run: (store: OidcCredentialsBackend) => MaybePromise<void>,
  ): Promise<void> {
    for (const one of await this.#stores.each(run)) this.#report(action, one);
  }

  #report(
    action: FallbackEvent["action"],
    { store, error: { code } }: Missed,
    used?: OidcCredentialsBackend,
  ): void {
    const missed = placeOf(store);
    const kind = `${action} ${this.#backends.indexOf(store)} ${code}`;
    if (this.#reported.has(kind)) return;
    this.#reported.add(kind);
    const message = used === undefined
      ? `${missed} was left out (${code}): its copy was not ${DONE[action]}.`
      : `${missed} was passed over (${code}): the tokens are kept in ${placeOf(used)}.`;
    try {
      const place = used !== undefined && { used: placeOf(used) };
      this.#onFallback({ action, missed, code, ...place, message });
    } catch {
      // The action is done: a closed standard error must not make it a failure.
    }
  }
}

const ACTION = "create FallbackCredentialsBackend";

const DONE = { store: "replaced", delete: "removed", list: "listed" };

function checkBackends(backends: unknown): asserts backends is OidcCredentialsBackend[] {
  if (!Array.isArray(backends) || backends.length === 0) {
    const advice = "Give one or more, in their order.";
    throw backendsError(`option "backends" is no list of backends`, advice);
  }
  for (const [index, one] of backends.entries()) {
    assertReadableBackend(one, `backends[${index}] of FallbackCredentialsBackend`);
  }
  if (new Set(backends.map(storeOf)).size < backends.length) {
    throw backendsError("two of the backends are one store", "Give each store once.");
  }
}

/** Stands for the store: the same for two backends that lead to one place. */
function storeOf(backend: OidcCredentialsBackend): unknown {
  return backend.persistent && backend.location || backend;
}

function backendsError(reason: string, advice: string): CredentialsBackendError {
  return new CredentialsBackendError("invalid_options", `Cannot ${ACTION}: ${reason}. ${advice}`);
}

function reportOnStderr({ message }: FallbackEvent): void {
  writeError(`@validmind/auth: ${message}\n`);
}
