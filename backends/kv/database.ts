import { isStillAt } from "../common/judge_path.ts";
import { Queue } from "../common/promises.ts";
import { repeat } from "../common/repeat.ts";
import { CredentialsBackendError, SIGN_OUT_OF_ALL } from "../credentials_backend_error.ts";
import { fileError } from "../file/faults.ts";
import { withKeyLock } from "../file/lock.ts";
import type { WithLockOptions } from "../oidc_credentials_backend.ts";
import { type DatabaseFile, isDiskFull, prepareDatabase } from "./database_file.ts";

export { removeDatabase } from "./database_file.ts";

export interface KvDatabaseOptions {
  path: string;
  lockTimeoutMs: number;
}

export class KvDatabase {
  readonly #kv: Deno.Kv;
  readonly #options: KvDatabaseOptions;
  /** `undefined` in memory. */
  readonly #file: DatabaseFile | undefined;
  /** The locks in memory. */
  readonly #queue: Queue;

  private constructor(kv: Deno.Kv, options: KvDatabaseOptions, file: DatabaseFile | undefined) {
    this.#kv = kv;
    this.#options = options;
    this.#file = file;
    this.#queue = new Queue(options.lockTimeoutMs);
  }

  /** Opens the store, and makes the database file where there is none. */
  static async open(options: KvDatabaseOptions) {
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
      return new KvDatabase(kv, options, file);
    } catch (error) {
      const isRefused = error instanceof CredentialsBackendError;
      const isFull = file !== undefined && !isRefused && await isDiskFull(file.path);
      throw kvError("open", path, isFull ? new Error(FULL) : error);
    }
  }

  /** The result of an operation, which gives `undefined` where it is to be repeated. */
  async run<T>(action: string, operation: (kv: Deno.Kv) => Promise<T | undefined>) {
    try {
      const result = await whileBusy(action, this.#options, () => operation(this.#kv));
      this.#assertThere(action);
      return result;
    } catch (error) {
      throw kvError(action, this.#options.path, error);
    }
  }

  /**
   * Runs `fn` under the key's lock. All who use a file are on one host, and the kernel keeps a lock for
   * a process that is stopped: nobody takes it over.
   */
  async withLock<T>(key: string, fn: () => Promise<T>, options: WithLockOptions<T>) {
    if (this.#file === undefined) return await this.#queue.run(key, fn, options.signal);
    const limits = { ...options, timeoutMs: this.#options.lockTimeoutMs };
    return await withKeyLock(this.#file.path, key, fn, limits);
  }

  close() {
    this.#kv.close();
  }

  /** Refuses to go on with a file that somebody has removed: SQLite would read and write it all the same. */
  #assertThere(action: string) {
    if (this.#file === undefined || isStillAt(this.#file.path, this.#file.info)) return;
    throw new CredentialsBackendError("backend_unavailable", {
      action: `${action} ${this.#options.path}`,
      reason: "its file was removed or replaced while it was open",
      remedy: "Start this program again.",
    });
  }
}

/**
 * Repeats an operation while another handle writes to the database, which takes milliseconds. The option
 * limits the wait for the key's lock.
 */
async function whileBusy<T>(
  action: string,
  { path, lockTimeoutMs }: KvDatabaseOptions,
  operation: () => Promise<T | undefined>,
) {
  const limits = {
    withinMs: Math.max(lockTimeoutMs, 1000),
    over: (spent: string) =>
      new CredentialsBackendError("backend_locked", {
        action: `${action} ${path}`,
        reason: `another process keeps writing to it, ${spent}`,
        remedy: "Try again, or end it.",
      }),
  };
  return await repeat(limits, async () => {
    try {
      return await operation();
    } catch (error) {
      if (!LOCKED.test(wordsOf(error))) throw error;
      return undefined;
    }
  });
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
