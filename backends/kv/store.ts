import { isObject } from "../common/json.ts";
import { isSameFile, lookIfPresent } from "../common/judge_path.ts";
import { printable } from "../common/printable.ts";
import { Queue } from "../common/promises.ts";
import { repeat } from "../common/repeat.ts";
import {
  corruptEntry,
  CredentialsBackendError,
  SIGN_OUT_OF_ALL,
} from "../credentials_backend_error.ts";
import { fileError } from "../file/faults.ts";
import { withKeyLock } from "../file/lock.ts";
import type { OidcCredentials, PutOptions, WithLockOptions } from "../oidc_credentials_backend.ts";
import { type DatabaseFile, isDiskFull, prepareDatabase } from "./database_file.ts";

export { removeDatabase } from "./database_file.ts";

const entryPrefix: Deno.KvKey = ["validmind", "oidc"];
const entryKey = (key: string): Deno.KvKey => [...entryPrefix, key];

/** Another write came between a look and a write. */
const OVERTAKEN = new Error("overtaken");

export interface KvStoreOptions {
  path: string;
  lockTimeoutMs: number;
}

export class KvStore {
  readonly #kv: Deno.Kv;
  readonly #options: KvStoreOptions;
  /** `undefined` in memory. */
  readonly #file: DatabaseFile | undefined;
  /** The locks in memory. */
  readonly #queue: Queue;

  private constructor(kv: Deno.Kv, options: KvStoreOptions, file: DatabaseFile | undefined) {
    this.#kv = kv;
    this.#options = options;
    this.#file = file;
    this.#queue = new Queue(options.lockTimeoutMs);
  }

  /** Opens the store, and makes the database file where there is none. */
  static async open(options: KvStoreOptions): Promise<KvStore> {
    const { path } = options;
    if (typeof Deno.openKv !== "function") {
      throw new CredentialsBackendError("unstable_kv_required", {
        action: `open Deno KV (${path})`,
        reason: "Deno.openKv is not enabled",
        remedy: 'Run with --unstable-kv, or set "unstable": ["kv"] in deno.json.',
      });
    }
    let file: DatabaseFile | undefined;
    try {
      if (path !== ":memory:") file = prepareDatabase(path);
      const kv = await whileBusy("open", options, () => Deno.openKv(file?.path ?? path));
      return new KvStore(kv, options, file);
    } catch (error) {
      const isRefused = error instanceof CredentialsBackendError;
      const isFull = file !== undefined && !isRefused && await isDiskFull(file.path);
      throw kvError("open", path, isFull ? new Error(FULL) : error);
    }
  }

  async get(key: string): Promise<OidcCredentials | undefined> {
    return (await this.#read(key)).entry;
  }

  /** Writes the entry where `isReplaced` does not refuse. Gives whether it did. */
  async put(
    key: string,
    entry: OidcCredentials,
    { isReplaced }: PutOptions = {},
  ): Promise<boolean> {
    // Through JSON: the value that every other backend would store, without undefined or classes.
    const value = JSON.parse(JSON.stringify(entry));
    return await this.#try("write credentials to", async () => {
      const atomic = this.#kv.atomic().set(entryKey(key), value);
      if (isReplaced !== undefined) {
        const { entry: stored, check } = await this.#read(key);
        if (!isReplaced(stored)) return false;
        atomic.check(check);
      }
      const { ok } = await atomic.commit();
      if (!ok) throw OVERTAKEN;
      return true;
    });
  }

  /** Removes the entry. SQLite needs some space for that. */
  async delete(key: string): Promise<void> {
    await this.#try("remove credentials from", () => this.#kv.delete(entryKey(key)));
  }

  async *list(): AsyncGenerator<string> {
    const readAll = () => Array.fromAsync(this.#kv.list({ prefix: entryPrefix }));
    for (const { key, value } of await this.#try("list credentials in", readAll)) {
      if (value !== null) yield String(key.at(-1));
    }
  }

  /**
   * Runs `fn` under the key's lock. All who use a file are on one host, and the kernel keeps a lock for
   * a process that is stopped: nobody takes it over.
   */
  async withLock<T>(key: string, fn: () => Promise<T>, options: WithLockOptions<T>): Promise<T> {
    if (this.#file === undefined) return await this.#queue.run(key, fn, options.signal);
    const limits = { ...options, timeoutMs: this.#options.lockTimeoutMs };
    return await withKeyLock(this.#file.path, key, fn, limits);
  }

  close(): void {
    this.#kv.close();
  }

  /** The entry, and a check that holds while its row is unchanged. */
  async #read(key: string) {
    const get = () => this.#kv.get(entryKey(key));
    const { value, versionstamp } = await this.#try("read credentials from", get);
    const check = { key: entryKey(key), versionstamp };
    const entry = value ?? undefined;
    if (entry === undefined || isObject(entry)) return { entry: entry as OidcCredentials, check };
    const action = `read credentials from ${this.#options.path}`;
    throw corruptEntry(action, `the entry for "${printable(key)}" is damaged`);
  }

  /** Refuses to go on with a file that somebody has removed: SQLite would read and write it all the same. */
  #assertThere(action: string) {
    if (this.#file === undefined) return;
    const found = lookIfPresent(this.#file.path);
    if (found !== undefined && isSameFile(found, this.#file.info)) return;
    throw new CredentialsBackendError("backend_unavailable", {
      action: `${action} ${this.#options.path}`,
      reason: "its file was removed or replaced while it was open",
      remedy: "Start this program again.",
    });
  }

  async #try<T>(action: string, operation: () => Promise<T>): Promise<T> {
    try {
      const result = await whileBusy(action, this.#options, operation);
      this.#assertThere(action);
      return result;
    } catch (error) {
      throw kvError(action, this.#options.path, error);
    }
  }
}

/**
 * Repeats an operation while another handle writes to the database, which takes milliseconds. The option
 * limits the wait for the key's lock.
 */
async function whileBusy<T>(
  action: string,
  { path, lockTimeoutMs }: KvStoreOptions,
  operation: () => Promise<T>,
): Promise<T> {
  const limits = {
    withinMs: Math.max(lockTimeoutMs, 1000),
    pauseMs: 3,
    longestPauseMs: 40,
    over: (spent: string) =>
      new CredentialsBackendError("backend_locked", {
        action: `${action} ${path}`,
        reason: `another process keeps writing to it, ${spent}`,
        remedy: "Try again, or end it.",
      }),
  };
  const { value } = await repeat(limits, async () => {
    try {
      return { value: await operation() };
    } catch (error) {
      if (error !== OVERTAKEN && !LOCKED.test(wordsOf(error))) throw error;
      return undefined;
    }
  });
  return value;
}

/** Another handle writes to the database at this moment. The operation has then done nothing. */
const LOCKED = /database( table)? is locked/;
const FULL = "database or disk is full";

type Fault = [RegExp, CredentialsBackendError["code"], reason: string, remedy: string];

/** Codes and reasons by the words of Deno KV and of SQLite, which name no cause of the system. */
const FAULTS: Fault[] = [
  [
    /too large/i,
    "backend_too_large",
    "the entry is larger than 64 KiB, or its key than 2 KiB, the most that Deno KV holds",
    "Use another backend, or ask the provider for smaller tokens.",
  ],
  [
    /not a database|disk image is malformed/,
    "backend_corrupt",
    "it is not a valid Deno KV database",
    "Nothing was changed. Repair or remove the file.",
  ],
  [
    new RegExp(FULL),
    "backend_full",
    "no space is left",
    `Free some space. To sign out without, end all programs that use it, and remove it by ` +
    `${SIGN_OUT_OF_ALL}, or by hand with the files beside it (-wal, -shm).`,
  ],
  [/disk I\/O error/, "backend_unavailable", "disk I/O error", "Check its space and file system."],
  [
    /unable to open database|read-?only database/,
    "backend_denied",
    "the system denies access",
    "Check the owner and mode of it and its folder, and the free space.",
  ],
];

function wordsOf(error: unknown) {
  return error instanceof Error ? error.message : "";
}

/** The coded error for a failed operation of Deno KV. */
function kvError(action: string, path: string, error: unknown) {
  if (error instanceof CredentialsBackendError) return error;
  const fault = FAULTS.find(([words]) => words.test(wordsOf(error)));
  if (fault === undefined) return fileError(action, path, error);
  const [, code, reason, remedy] = fault;
  return new CredentialsBackendError(code, { action: `${action} ${path}`, reason, remedy });
}
