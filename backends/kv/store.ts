import { isUrl } from "../common/host.ts";
import { isObject } from "../common/json.ts";
import { type LeaseRow, Leases, type LeaseStore, SYSTEM_TIMER } from "../common/lease.ts";
import { dirname } from "../common/paths.ts";
import { printable } from "../common/printable.ts";
import { Queue, type Timer } from "../common/promises.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { withKeyLock } from "../file/lock.ts";
import { makeFolder } from "../file/replace_file.ts";
import type { OidcCredentials, PutOptions, WithLockOptions } from "../oidc_credentials_backend.ts";
import {
  filePerformer,
  kvError,
  type Perform,
  secureDatabase,
  serverPerformer,
} from "./connect.ts";
import { SIGN_OUT } from "../common/sign_out_words.ts";

const entryPrefix: Deno.KvKey = ["validmind", "oidc"];
const entryKey = (key: string): Deno.KvKey => [...entryPrefix, key];
const leaseKey = (key: string): Deno.KvKey => ["validmind", "oidc_lease", key];

/** A row, as one look found it. */
interface StoredEntry {
  readonly entry: OidcCredentials | undefined;
  /** Holds while the row is unchanged. */
  readonly check: Deno.AtomicCheck;
}

export interface KvStoreOptions {
  path: string;
  lockTimeoutMs: number;
  timeoutMs: number;
  /** @default {the system's} */
  timer?: Timer;
}

export class KvStore {
  readonly #kv: Deno.Kv;
  readonly #perform: Perform;
  readonly #options: KvStoreOptions;
  /** The database file; `undefined` in memory and on a server. */
  readonly #file: string | undefined;
  /** The locks on a server, and those in memory. */
  readonly #leases: Leases | undefined;
  readonly #queue: Queue;

  private constructor(
    kv: Deno.Kv,
    perform: Perform,
    options: KvStoreOptions,
    file: string | undefined,
  ) {
    const { path: place, lockTimeoutMs, timer = SYSTEM_TIMER } = options;
    this.#kv = kv;
    this.#perform = perform;
    this.#options = options;
    this.#file = file;
    this.#queue = new Queue(lockTimeoutMs);
    if (!isUrl(place)) return;
    const store = this.#leaseStore();
    this.#leases = new Leases({ store, place: () => place, timer, lockTimeoutMs });
  }

  /** Opens the store, and makes the database file where there is none. */
  static async open(options: KvStoreOptions): Promise<KvStore> {
    const { path, lockTimeoutMs, timeoutMs, timer = SYSTEM_TIMER } = options;
    if (typeof Deno.openKv !== "function") {
      throw new CredentialsBackendError("unstable_kv_required", {
        action: `open Deno KV (${path})`,
        reason: "Deno.openKv is not enabled",
        remedy: 'Run with --unstable-kv, or set "unstable": ["kv"] in deno.json.',
      });
    }
    try {
      const isFile = path !== ":memory:" && !isUrl(path);
      if (isFile) makeFolder(dirname(path));
      const file = isFile ? secureDatabase(path) : undefined;
      // A writer holds the database for milliseconds. The option limits the wait for the key's lock.
      const perform = isUrl(path)
        ? serverPerformer(path, timeoutMs, timer)
        : filePerformer(Math.max(lockTimeoutMs, 1000));
      const kv = await perform(() => Deno.openKv(file ?? path));
      return new KvStore(kv, perform, options, file);
    } catch (error) {
      throw kvError("open", path, error);
    }
  }

  async get(key: string): Promise<OidcCredentials | undefined> {
    return (await this.#read(key)).entry;
  }

  /**
   * Writes the entry. With `isReplaced` the entry that is there decides, and else the lease: it may have
   * been taken over.
   */
  async put(key: string, entry: OidcCredentials, { isReplaced }: PutOptions = {}): Promise<void> {
    // Through JSON: the value that every other backend would store, without undefined or classes.
    const value = JSON.parse(JSON.stringify(entry));
    await this.#commit(key, (atomic) => atomic.set(entryKey(key), value), isReplaced);
  }

  /** Removes the entry, unless another holder took over the key's lease. */
  async delete(key: string): Promise<void> {
    await this.#commit(key, (atomic) => atomic.delete(entryKey(key)));
  }

  async *list(): AsyncGenerator<string> {
    const rows = this.#kv.list({ prefix: entryPrefix });
    for (;;) {
      const { done, value } = await this.#try("list credentials in", () => rows.next());
      if (done) return;
      if (value.value !== null) yield String(value.key.at(-1));
    }
  }

  /**
   * Runs `fn` under the key's lock. All who use a file are on one host, and the kernel keeps a lock for
   * a process that is stopped: nobody takes it over.
   */
  async withLock<T>(key: string, fn: () => Promise<T>, options: WithLockOptions<T>): Promise<T> {
    if (this.#leases !== undefined) return await this.#leases.run(key, fn, options);
    if (this.#file === undefined) return await this.#queue.run(key, fn, options.signal);
    const limits = { ...options, timeoutMs: this.#options.lockTimeoutMs };
    return await withKeyLock(this.#file, key, fn, limits);
  }

  close(): void {
    this.#kv.close();
  }

  async #read(key: string): Promise<StoredEntry> {
    const get = () => this.#kv.get(entryKey(key));
    const { value, versionstamp } = await this.#try("read credentials from", get);
    const check = { key: entryKey(key), versionstamp };
    const entry = value ?? undefined;
    if (entry === undefined || isObject(entry)) return { entry: entry as OidcCredentials, check };
    throw new CredentialsBackendError("backend_corrupt", {
      action: `read credentials from ${this.#options.path}`,
      reason: `the entry for "${printable(key)}" is damaged`,
      remedy: `Remove it with ${SIGN_OUT}.`,
      signOut: "entry",
    });
  }

  async #commit(
    key: string,
    change: (atomic: Deno.AtomicOperation) => unknown,
    isReplaced?: PutOptions["isReplaced"],
  ): Promise<void> {
    const action = "write credentials to";
    for (;;) {
      const present = isReplaced && await this.#read(key);
      if (present && !isReplaced(present.entry)) return;
      const lease = this.#leases?.held(key);
      const check = present?.check ?? (lease && leaseCheck(key, lease));
      const result = await this.#try(action, () => {
        const atomic = this.#kv.atomic();
        if (check) atomic.check(check);
        change(atomic);
        return atomic.commit();
      });
      if (result.ok) return;
      await this.#leases?.assertHeld(key, action); // a sign of life may have come in between
    }
  }

  async #try<T>(action: string, operation: () => Promise<T>, timeoutMs?: number): Promise<T> {
    try {
      return await this.#perform(operation, timeoutMs);
    } catch (error) {
      throw kvError(action, this.#options.path, error);
    }
  }

  /**
   * The leases on a server. Releasing deletes the row: versionstamps count the commits of the whole
   * store, so none comes back. Rows do not use `expireIn`, which Deno computes from the holder's clock.
   */
  #leaseStore(): LeaseStore {
    return {
      read: async (key, { action, timeoutMs }) => {
        const get = () => this.#kv.get<{ holder: string }>(leaseKey(key));
        const { value, versionstamp } = await this.#try(action, get, timeoutMs);
        return { holder: value?.holder ?? "", version: versionstamp };
      },
      write: async (key, holder, row, { action, timeoutMs }) => {
        const commit = () => {
          const atomic = this.#kv.atomic().check(leaseCheck(key, row));
          if (holder === "") atomic.delete(leaseKey(key));
          else atomic.set(leaseKey(key), { holder });
          return atomic.commit();
        };
        const result = await this.#try(action, commit, timeoutMs);
        return result.ok ? result.versionstamp : undefined;
      },
    };
  }
}

function leaseCheck(key: string, { version }: LeaseRow): Deno.AtomicCheck {
  return { key: leaseKey(key), versionstamp: version as string | null };
}
