/**
 * An ordered list of credentials backends, for hosts on which the first is not always there.
 *
 * @module
 */

import { assertCredentialsBackend, checkOptions } from "./common/check_options.ts";
import { CredentialsBackendError } from "./credentials_backend_error.ts";
import type { CredentialsBackendErrorCode } from "./credentials_backend_error.ts";
import { FallbackStores, type Missed, newest, placeOf } from "./fallback/stores.ts";
import { FallbackLock } from "./fallback/lock.ts";
import type {
  BackendPermission,
  MaybePromise,
  OidcCredentials,
  OidcCredentialsBackend,
} from "./oidc_credentials_backend.ts";

/** Options of {@linkcode FallbackCredentialsBackend}. */
export interface FallbackCredentialsBackendOptions {
  /** The stores, the preferred one first. */
  backends: readonly OidcCredentialsBackend[];
  /**
   * Told, once for each store and reason, of a store that was passed over.
   *
   * @default a line on standard error
   */
  onFallback?: (event: FallbackEvent) => void;
}

/** A store that was passed over. Holds no secret. */
export interface FallbackEvent {
  /** What was to be done there. */
  readonly action: "store" | "delete" | "list";
  /** The store, as its `location` says. */
  readonly missed: string;
  /** Why. */
  readonly code: CredentialsBackendErrorCode;
  /** Where an entry was stored instead. Only for `store`. */
  readonly used?: string;
  /** All of it in words. */
  readonly message: string;
}

/** What one store has of a credential. Holds no secret. */
export interface FallbackStatus {
  /** The class of the store. */
  readonly name: string;
  /** Where it is, in words. */
  readonly location?: string;
  /** Whether it holds a copy; `failed` when it cannot say. */
  readonly state: "holds" | "absent" | "failed";
  /** Why it cannot say. */
  readonly code?: CredentialsBackendErrorCode;
  /** Whether its copy is the one that is used. */
  readonly inUse: boolean;
}

/**
 * Keeps each entry in the first of several backends that takes it: in the OS keychain and, on hosts
 * without one, in an encrypted file. Nothing falls back that is not named here, and each time a
 * store is passed over is told.
 *
 * | error of a store | reading, deleting, listing | writing |
 * |---|---|---|
 * | `backend_unavailable`, `backend_timeout` when it is read | it counts as empty | the next one |
 * | the same when it is written to | | an error: it may have been done |
 * | `backend_too_large`, `backend_full` | an error | the next one |
 * | any other, such as `backend_denied`, `keychain_locked`, `backend_corrupt` | an error | an error |
 *
 * **One copy counts.** All stores are read, and the newest copy is used: each write carries a number
 * higher than that of every copy it can see. Copies elsewhere are marked before a newer one is
 * written, and removed after it. A marked copy is used only while all stores answer, because using a
 * refresh token that was replaced can end the whole grant. A row that another program wrote has no
 * number; then the copy that ends later is used.
 *
 * **A store that cannot be reached** counts as empty, so a person may be asked to sign in a second
 * time; the two sign-ins do not disturb each other. It is an error instead where this process has
 * seen the entry there, or where another store's copy is marked. What it holds survives a sign-out
 * then, which is told.
 *
 * **The lock** is that of every store that has one and is reached, in one order for all; where no
 * store has one there is none. `list` and `deleteAll` are there when every store has them,
 * `requiredPermissions` when every store declares. `close` closes all.
 *
 * Needs what its backends need.
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
  /** Present where a store has a lock. */
  readonly withLock?: OidcCredentialsBackend["withLock"];
  /** Present where every store lists: the keys of all. */
  readonly list?: () => AsyncIterable<string>;
  /** Present where every store can: removes every entry from each. */
  readonly deleteAll?: () => Promise<void>;
  /** Present where every store declares what it needs. */
  readonly requiredPermissions?: () => BackendPermission[];
  readonly #backends: readonly OidcCredentialsBackend[];
  readonly #stores: FallbackStores;
  readonly #onFallback: (event: FallbackEvent) => void;
  readonly #told = new Set<string>();

  /**
   * Touches no store yet.
   *
   * @param options The stores.
   * @throws {CredentialsBackendError} `invalid_options`, `invalid_backend`.
   */
  constructor(options: FallbackCredentialsBackendOptions) {
    checkOptions(ACTION, options, { backends: "array", onFallback: "function" });
    const { backends, onFallback = tellOnStderr } = options;
    checkBackends(backends);
    const lock = new FallbackLock(backends);
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
    const answers = this.#backends.map(({ persistent }) => persistent);
    if (answers.includes(false)) return false;
    return answers.includes(undefined) ? undefined : true;
  }

  /** All places in their order; {@linkcode status} tells which one an entry is in. */
  get location(): string {
    return this.#backends.map(placeOf).join(", else ");
  }

  /**
   * The newest copy of the entry under `key`, or `undefined` when no store that answers has one.
   *
   * @throws {CredentialsBackendError} What a store reports, as the table above says.
   */
  get(key: string): Promise<OidcCredentials | undefined> {
    return this.#stores.get(key);
  }

  /**
   * Stores `entry` in the first store that takes it, and removes other copies.
   *
   * @throws {CredentialsBackendError} What a store reports, as the table above says; when none takes
   * it, with the code of the last.
   */
  async put(key: string, entry: OidcCredentials): Promise<void> {
    const { used, missed } = await this.#stores.put(key, entry);
    for (const one of missed) this.#tell("store", one, used);
  }

  /**
   * Removes the entry under `key` from every store that answers.
   *
   * @throws {CredentialsBackendError} What a store reports, after all were tried.
   */
  async delete(key: string): Promise<void> {
    for (const one of await this.#stores.delete(key)) this.#tell("delete", one);
  }

  /**
   * What each store has of a credential, in their order: for a person who asks where the tokens are.
   *
   * @param key The credential key.
   * @returns One status for each store. Never fails for what a store reports.
   */
  async status(key: string): Promise<FallbackStatus[]> {
    const looks = await this.#stores.look(key);
    const chosen = newest(looks.flatMap(({ copy }) => copy ?? []));
    return looks.map(({ store, copy, error }): FallbackStatus => ({
      name: store.constructor?.name || "unnamed",
      ...(store.location !== undefined && { location: store.location }),
      state: error !== undefined ? "failed" : copy === undefined ? "absent" : "holds",
      ...(error instanceof CredentialsBackendError && { code: error.code }),
      inUse: copy !== undefined && copy === chosen,
    }));
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
    for (const one of await this.#stores.each(run)) this.#tell(action, one);
  }

  #tell(
    action: FallbackEvent["action"],
    { store, error: { code } }: Missed,
    used?: OidcCredentialsBackend,
  ): void {
    const missed = placeOf(store);
    const kind = `${action} ${this.#backends.indexOf(store)} ${code}`;
    if (this.#told.has(kind)) return;
    this.#told.add(kind);
    const message = used === undefined
      ? `${missed} was left out (${code}): what it holds was not ${DONE[action]}.`
      : `${missed} was passed over (${code}): the tokens are kept in ${placeOf(used)}.`;
    try {
      this.#onFallback({
        action,
        missed,
        code,
        ...(used !== undefined && { used: placeOf(used) }),
        message,
      });
    } catch {
      // What was to be told of is done; a closed standard error must not make it a failure.
    }
  }
}

const ACTION = "create FallbackCredentialsBackend";

const DONE = { store: "replaced", delete: "removed", list: "listed" };

function checkBackends(backends: unknown): asserts backends is OidcCredentialsBackend[] {
  if (!Array.isArray(backends) || backends.length === 0) {
    throw invalid(`option "backends" is no list of backends`, "Give one or more, in their order.");
  }
  for (const [index, one] of backends.entries()) {
    assertCredentialsBackend(one, `backends[${index}] of FallbackCredentialsBackend`);
  }
  const places = backends.map((one) => one.persistent && one.location || one);
  if (new Set(places).size < places.length) {
    throw invalid("two of the backends are one store", "Give each store once.");
  }
}

function invalid(reason: string, advice: string): CredentialsBackendError {
  return new CredentialsBackendError("invalid_options", `Cannot ${ACTION}: ${reason}. ${advice}`);
}

function tellOnStderr({ message }: FallbackEvent): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`@validmind/auth: ${message}\n`));
}
