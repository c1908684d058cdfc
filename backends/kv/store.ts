import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { folderOf, isUrl } from "../common/platform.ts";
import { LEASE_MS, type Leases, SYSTEM_TIMER } from "../common/lease.ts";
import { delay, Queue, type Timer } from "../common/promises.ts";
import {
  DatabaseFile,
  type KvLease,
  kvLeases,
  leaseKey,
  type Perform,
  type RunKv,
  serverPerformer,
} from "./connect.ts";
import {
  deleteEntry,
  encodeEntry,
  entryPrefix,
  getEntry,
  getEntryWithoutRoom,
  isDatabaseLocked,
  kvError,
  noPartsSince,
  setEntry,
  type StoredEntry,
} from "./entry.ts";
import type { OidcCredentials, PutOptions, WithLockOptions } from "../oidc_credentials_backend.ts";

/** Loaded where something is locked: a read takes no lock. */
const loadFileLock = () => import("../file/lock.ts");
/** Loaded where the folder of a database is missing. */
const loadReplaceFile = () => import("../file/replace_file.ts");

export interface KvStoreOptions {
  path: string;
  lockTimeoutMs: number;
  timeoutMs: number;
  /** @default {the system's} */
  timer?: Timer;
}

type Change = (atomic: Deno.AtomicOperation, noParts: Deno.AtomicCheck | undefined) => void;

/** About how long a refresh holds its lock, in milliseconds. */
const REFRESH_MS = 20;
const LOCK_FILE_GONE = "since somebody removed or replaced its file";

export class KvStore {
  readonly #kv: Deno.Kv;
  readonly #path: string;
  readonly #perform: Perform;
  /** `undefined` in memory and on a server. */
  readonly #file: DatabaseFile | undefined;
  #hasWritten = false;
  /** The kernel locks of keys that are held: whether each still excludes others. */
  readonly #held = new Map<string, () => boolean>();
  readonly #lockTimeoutMs: number;
  /** The locks of a server's store. Those of a file are kernel locks. */
  readonly #leases: Leases<KvLease> | undefined;
  readonly #queue: Queue;
  /** The check for the latest key without parts: a refresh reads an entry and then writes it. */
  #noParts:
    | { key: string; check: Deno.AtomicCheck; entry: OidcCredentials | undefined }
    | undefined;

  private constructor(
    kv: Deno.Kv,
    options: KvStoreOptions,
    perform: Perform,
    file: DatabaseFile | undefined,
  ) {
    const { path, lockTimeoutMs, timer = SYSTEM_TIMER } = options;
    this.#kv = kv;
    this.#path = path;
    this.#perform = perform;
    this.#file = file;
    this.#lockTimeoutMs = lockTimeoutMs;
    this.#queue = new Queue(lockTimeoutMs);
    const run: RunKv = (...args) => this.#try(...args);
    if (isUrl(path)) this.#leases = kvLeases({ kv, path, run, timer, lockTimeoutMs });
  }

  /** Opens the store, and makes the database file where there is none. */
  static async open(options: KvStoreOptions): Promise<KvStore> {
    const { path, lockTimeoutMs, timeoutMs, timer = SYSTEM_TIMER } = options;
    if (typeof Deno.openKv !== "function") {
      throw new CredentialsBackendError(
        "unstable_kv_required",
        `Cannot open Deno KV (${path}): Deno.openKv is not enabled. Run with --unstable-kv, or ` +
          `set "unstable": ["kv"] in deno.json.`,
      );
    }
    try {
      const file = path === ":memory:" || isUrl(path) ? undefined : await openDatabaseFile(path);
      // A writer holds the database for milliseconds. The option limits the wait for the key's lock.
      const perform: Perform = isUrl(path)
        ? serverPerformer(path, timeoutMs, timer)
        : (operation) => whenUnlocked(operation, Math.max(lockTimeoutMs, 1000));
      const kv = await perform(() => Deno.openKv(file?.path ?? path));
      try {
        file?.secure();
        return new KvStore(kv, options, perform, file);
      } catch (error) {
        kv.close();
        throw error;
      }
    } catch (error) {
      throw kvError("open", path, error);
    }
  }

  async get(key: string): Promise<OidcCredentials | undefined> {
    const { entry, noParts } = await this.#read(key);
    this.#noParts = noParts && { key, check: noParts, entry };
    return entry;
  }

  async #read(key: string): Promise<StoredEntry> {
    const run = <T>(read: () => Promise<T>) => this.#try("read", read);
    return await getEntry(this.#kv, key, this.#path, run);
  }

  /** Writes the entry, unless another holder took over the key's lease. */
  async put(key: string, entry: OidcCredentials, { isReplaced }: PutOptions = {}): Promise<void> {
    const encoded = encodeEntry(entry, this.#path);
    this.#assertHeld(key);
    const versionstamp = await this.#commit(key, (atomic, noParts) => {
      setEntry(atomic, key, encoded, noParts);
    }, isReplaced);
    if (versionstamp === undefined || encoded.parts.length > 0) return;
    this.#noParts = { key, check: noPartsSince(key, versionstamp), entry };
  }

  /** Removes the entry, unless another holder took over the key's lease. */
  async delete(key: string): Promise<void> {
    await this.#commit(key, (atomic, noParts) => deleteEntry(atomic, key, noParts));
  }

  async *list(): AsyncGenerator<string> {
    const rows = this.#kv.list({ prefix: entryPrefix });
    for (;;) {
      const { done, value } = await this.#try("list", () => rows.next());
      if (done) return;
      if (value.value !== null) yield String(value.key.at(-1));
    }
  }

  /**
   * Runs `fn` under the key's lock. All who use a file are on one host, and the kernel keeps a lock for
   * a process that is stopped: nobody takes it over.
   */
  async withLock<T>(key: string, fn: () => Promise<T>, options: WithLockOptions<T>): Promise<T> {
    const { signal, peek } = options;
    if (this.#leases !== undefined) return await this.#leases.run(key, fn, options);
    if (this.#file === undefined) return await this.#queue.run(key, fn, signal);
    const { shortHash, withFileLock } = await loadFileLock();
    const run = async (isHeld: () => boolean) => {
      this.#held.set(key, isHeld);
      try {
        return await fn();
      } finally {
        this.#held.delete(key);
      }
    };
    return await withFileLock(`${this.#file.path}.${shortHash(key)}.lock`, run, {
      timeoutMs: this.#lockTimeoutMs,
      paceMs: REFRESH_MS,
      signal,
      peek,
    });
  }

  close(): void {
    this.#kv.close();
  }

  #assertHeld(key: string): void {
    if (this.#held.get(key)?.() === false) throw this.#lockLost(LOCK_FILE_GONE);
  }

  /** Gives the versionstamp; `undefined` where `isReplaced` does not hold for the present entry. */
  async #commit(
    key: string,
    change: Change,
    isReplaced?: (stored: OidcCredentials | undefined) => boolean,
  ): Promise<string | undefined> {
    const seen = this.#noParts?.key === key ? this.#noParts : undefined;
    let noParts = seen !== undefined && isReplaced?.(seen.entry) !== false ? seen.check : undefined;
    this.#noParts = undefined;
    for (;; noParts = undefined) {
      const versionstamp = this.#leases?.held(key)?.versionstamp;
      const present = noParts === undefined && isReplaced ? await this.#read(key) : undefined;
      if (present && !isReplaced!(present.entry)) return undefined;
      const result = await this.#try("write", () => {
        const atomic = this.#kv.atomic();
        if (present) atomic.check(present.check);
        if (versionstamp !== undefined) atomic.check({ key: leaseKey(key), versionstamp });
        change(atomic, noParts);
        return atomic.commit();
      });
      if (result.ok) {
        this.#secure();
        return result.versionstamp;
      }
      if (noParts !== undefined) continue; // perhaps the entry was written by another meanwhile
      // A renewal between reading the versionstamp and the commit: the lease is still ours.
      if (this.#leases?.held(key)?.versionstamp !== versionstamp) continue;
      if (await this.#leases?.isLost(key)) throw this.#lockLost();
    }
  }

  /** The first write may have made files beside the database. */
  #secure(): void {
    if (this.#hasWritten) return;
    try {
      this.#file?.secure();
    } catch (error) {
      throw kvError("keep", this.#path, error);
    }
    this.#hasWritten = true;
  }

  #lockLost(
    reason = `since this process stood still for over ${LEASE_MS / 1000} s`,
  ): CredentialsBackendError {
    return new CredentialsBackendError(
      "backend_locked",
      `Cannot write to ${this.#path}: the lock was lost while it was held, ${reason}. Try again.`,
    );
  }

  async #try<T>(action: string, operation: () => Promise<T>, timeoutMs?: number): Promise<T> {
    try {
      return await this.#perform(operation, timeoutMs);
    } catch (error) {
      throw kvError(action, this.#path, error);
    }
  }
}

/** The entry under a key, also where a database file cannot be opened because its disk is full. */
export async function getFrom(
  opening: Promise<KvStore>,
  key: string,
  path: string,
): Promise<OidcCredentials | undefined> {
  let store: KvStore;
  try {
    store = await opening;
  } catch (error) {
    // A server's words may be the same, but nothing of it lies here.
    const isFull = !isUrl(path) && error instanceof CredentialsBackendError &&
      error.code === "backend_full";
    const entry = isFull && await getEntryWithoutRoom(key, path).catch(() => undefined);
    if (!entry) throw error; // never "absent": the database was not read in Deno's own way
    return entry;
  }
  return await store.get(key);
}

/** The files of a database, and their folder, which are made where they are missing. */
async function openDatabaseFile(path: string): Promise<DatabaseFile> {
  try {
    return new DatabaseFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const { makeFolder } = await loadReplaceFile();
    makeFolder(folderOf(path));
    return new DatabaseFile(path);
  }
}

/**
 * Repeats an operation while another handle is writing to the same database file. Deno reports that at
 * once instead of waiting, and has then done nothing.
 */
async function whenUnlocked<T>(operation: () => Promise<T>, timeoutMs: number): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (let tries = 0;; tries++) {
    try {
      return await operation();
    } catch (error) {
      if (!isDatabaseLocked(error) || performance.now() >= deadline) throw error;
      await delay((1 + Math.random()) * Math.min(2 + tries, 25));
    }
  }
}
