import {
  faultOfFolder,
  faultOfKind,
  faultOfMode,
  faultOfOwner,
  isStillAt,
  lookIfPresent,
  PathFault,
} from "../common/judge_path.ts";
import { Queue } from "../common/promises.ts";
import { repeat } from "../common/repeat.ts";
import { CredentialsBackendError, SIGN_OUT_OF_ALL } from "../credentials_backend_error.ts";
import { resolveLink } from "../file/document.ts";
import { fileError, isFull, refuse } from "../file/faults.ts";
import { withKeyLock } from "../file/lock.ts";
import { makeFolder, proveWrite, removeIfPresent } from "../file/replace_file.ts";
import type { WithLockOptions } from "../oidc_credentials_backend.ts";

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
  static async open(options: KvDatabaseOptions): Promise<KvDatabase> {
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
      const hasNoSpace = file !== undefined && !isRefused && await isDiskFull(file.path);
      throw kvError("open", path, hasNoSpace ? new Error(FULL) : error);
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
    if (!this.#file) return await this.#queue.run(key, fn, options.signal);
    const limits = { ...options, timeoutMs: this.#options.lockTimeoutMs };
    return await withKeyLock(this.#file.path, key, fn, limits);
  }

  close() {
    this.#kv.close();
  }

  /** Refuses to go on with a file that somebody has removed: SQLite would read and write it all the same. */
  #assertThere(action: string) {
    if (!this.#file || isStillAt(this.#file.path, this.#file.info)) return;
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
  if (!fault) return fileError(action, path, error);
  const [, code, reason, remedy] = fault;
  return new CredentialsBackendError(code, { action: `${action} ${path}`, reason, remedy });
}

const ACTION = "use the Deno KV file";
/** The endings of a database and of the files that SQLite makes beside it. All hold entries. */
const FILES = ["", "-journal", "-wal", "-shm"];
/** The begin of every database. */
const HEADER = "SQLite format 3\0";
const NO_DATABASE = new PathFault("it is not a database", "Check the path, or remove it yourself.");
/** More than SQLite's own files take at first. */
const SPACE_BYTES = 65_536;
const OPEN_TO_OTHERS = 0o077;

/** The file of a database. */
interface DatabaseFile {
  /** Its own path, also where the given one is a link to it. */
  readonly path: string;
  readonly info: Deno.FileInfo;
}

/**
 * Judges the files of a database, and makes the database where there is none. SQLite opens them by their
 * names, and gives those that it makes the mode of the database. So nobody else may be able to put another
 * one in their place: that is known before anything is made. Each has to be a regular file of this
 * process's user, closed to others. None is changed: it may be another program's.
 *
 * No existing file is opened here. SQLite's locks belong to the process, and the kernel drops them
 * when any descriptor of the file is closed.
 */
function prepareDatabase(given: string): DatabaseFile {
  makeFolder(given);
  refuse(ACTION, given, faultOfFolder(given));
  const path = resolveLink(given);
  refuse(ACTION, path, faultOfFolder(path));
  makeDatabase(path);
  judgeFiles(path);
  const info = Deno.lstatSync(path);
  refuse(ACTION, path, faultOfFolder(path, info.uid));
  return { path, info };
}

function makeDatabase(path: string) {
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

function judgeFiles(database: string) {
  for (const path of FILES.map((ending) => database + ending)) {
    const info = lookIfPresent(path);
    if (!info) continue; // another process that ends has SQLite remove its side files
    refuse(ACTION, path, faultOfKind(info));
    refuse(ACTION, path, faultOfOwner(path, info));
    refuse(ACTION, path, faultOfMode(path, info, OPEN_TO_OTHERS));
  }
}

/** Whether the disk of a database has no space for SQLite's own files. SQLite has several words for that. */
async function isDiskFull(path: string) {
  try {
    const unused = `${path}.${crypto.randomUUID()}.tmp`;
    (await proveWrite(unused, SPACE_BYTES)).end();
    return false;
  } catch (error) {
    return isFull(error);
  }
}

/**
 * Removes a database with all that is in it, which needs no space. Without a database, the files with such
 * names are another program's.
 */
export function removeDatabase(given: string) {
  try {
    const path = resolveLink(given);
    const info = lookIfPresent(path);
    if (!info) return;
    judgeFiles(path);
    if (info.size > 0 && beginOf(path) !== HEADER) refuse("remove", path, NO_DATABASE);
    for (const ending of FILES.toReversed()) removeIfPresent(`${path}${ending}`);
    if (path !== given) makeDatabase(path); // a link to nothing would be an error from now on
  } catch (error) {
    throw fileError("remove", given, error);
  }
}

function beginOf(path: string) {
  using file = Deno.openSync(path);
  const bytes = new Uint8Array(HEADER.length);
  file.readSync(bytes);
  return new TextDecoder().decode(bytes);
}
