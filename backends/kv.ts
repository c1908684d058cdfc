import { checkOptions, invalidOptions } from "./common/check_options.ts";
import { isObject } from "./common/json.ts";
import { dirname } from "./common/paths.ts";
import { printable } from "./common/printable.ts";
import { Once } from "./common/promises.ts";
import { needDeno } from "./common/runtime.ts";
import { corruptEntry } from "./credentials_backend_error.ts";
import { readAndWrite, realPathIfGranted } from "./file/document.ts";
import type { KvDatabase, KvDatabaseOptions } from "./kv/database.ts";
import type {
  BackendPermission,
  OidcCredentials,
  OidcCredentialsBackend,
  PutOptions,
  WithLockOptions,
} from "./oidc_credentials_backend.ts";

/** Loaded at the first use of the store. */
const loadDatabase = () => import("./kv/database.ts");

const PREFIX: Deno.KvKey = ["validmind", "oidc"];

/**
 * Options of {@linkcode KvCredentialsBackend}.
 *
 * @category Backends
 */
export interface KvCredentialsBackendOptions {
  /**
   * `":memory:"`, or the path of a database file.
   *
   * @default {":memory:"}
   */
  path?: string;
  /**
   * Longest wait for another holder's lock, in milliseconds.
   *
   * @default {30_000}
   */
  lockTimeoutMs?: number;
}

/**
 * Keeps credentials in [Deno KV](https://docs.deno.com/deploy/kv/): in memory by default, or
 * in a database file. The store is opened at the first use.
 *
 * Deno's unnamed default database cannot be used, since it moves with a project's configuration. A
 * database file and the files that SQLite makes beside it are 0600 from their creation (Deno's own
 * default is 0644). A file that is open to others, or of another user, is refused and not changed. So is
 * a file in a folder that others can write. SQLite leaves the bytes of a removed entry in the file until
 * it uses their space: revoke the tokens of a sign-out. An entry holds at most 64 KiB.
 *
 * Needs `--unstable-kv`. A path also needs `--allow-read` and `--allow-write` for its folder, which
 * holds SQLite's own files and the locks.
 *
 * @category Backends
 *
 * @example
 * ```ts
 * import { KvCredentialsBackend } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * const backend = new KvCredentialsBackend(); // this process only
 * assertEquals(await backend.get("https://login.example.com|my-app"), undefined);
 * await backend.close();
 * ```
 */
export class KvCredentialsBackend implements OidcCredentialsBackend {
  /** The name of the class, also in minified code. */
  static readonly name = "KvCredentialsBackend";
  /** Whether entries survive the process. In `:memory:` they do not. */
  readonly persistent: boolean;
  /** The path of the store. */
  readonly path: string;
  readonly #options: KvDatabaseOptions;
  readonly #database = new Once<KvDatabase>();

  /**
   * Opens nothing yet.
   *
   * @param options The store's place, and the time limit of its lock.
   * @throws {CredentialsBackendError} `invalid_options`, `runtime_unsupported`.
   */
  constructor(options: KvCredentialsBackendOptions = {}) {
    needDeno("create KvCredentialsBackend");
    checkOptions("create KvCredentialsBackend", options, {
      path: "path",
      lockTimeoutMs: "milliseconds",
    });
    const { path = ":memory:", lockTimeoutMs = 30_000 } = options;
    refuseUrl(path);
    this.path = path;
    this.persistent = path !== ":memory:";
    this.#options = { path, lockTimeoutMs };
  }

  /** The place of the entries, in words. */
  get location(): string {
    return this.persistent ? this.path : "a Deno KV database in the memory of this process";
  }

  /** The real path, as far as Deno permits to look. Each store in memory is one of its own. */
  get storeId(): string | undefined {
    return this.persistent ? `kv ${realPathIfGranted(this.path)}` : undefined;
  }

  /**
   * The entry under `key`, or `undefined` when there is none.
   *
   * @throws {CredentialsBackendError} `unstable_kv_required`, `permission_required`,
   * `backend_denied`, `backend_corrupt`, `backend_locked`, `backend_full`, `backend_unavailable`.
   */
  async get(key: string): Promise<OidcCredentials | undefined> {
    return (await this.#read(key)).entry;
  }

  /**
   * Stores `entry` under `key`. Gives whether it was stored.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}, and `backend_too_large`.
   */
  async put(
    key: string,
    entry: OidcCredentials,
    { isReplaced }: PutOptions = {},
  ): Promise<boolean> {
    // Through JSON: the value that every other backend would store, without undefined or classes.
    const value = JSON.parse(JSON.stringify(entry));
    return await this.#run("write credentials to", async (kv) => {
      const atomic = kv.atomic().set([...PREFIX, key], value);
      if (isReplaced) {
        const { entry: stored, check } = await this.#read(key);
        if (!isReplaced(stored)) return false;
        atomic.check(check);
      }
      const { ok } = await atomic.commit();
      return ok || undefined; // again, since another write came between the look and this one
    });
  }

  /**
   * Removes the entry under `key`, if there is one. SQLite needs some space for that.
   *
   * @throws {CredentialsBackendError} As {@linkcode put}.
   */
  async delete(key: string): Promise<void> {
    await this.#run("remove credentials from", async (kv) => {
      await kv.delete([...PREFIX, key]);
      return true;
    });
  }

  /**
   * The keys of all entries.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}.
   */
  async *list(): AsyncGenerator<string> {
    const all = await this.#run(
      "list credentials in",
      (kv) => Array.fromAsync(kv.list({ prefix: PREFIX })),
    );
    for (const { key, value } of all) {
      if (value !== null) yield String(key.at(-1));
    }
  }

  /**
   * Removes the database file with all that is in it, also what other programs keep there, and the files
   * beside it. It needs no space. A program that has it open gets an error at its next use.
   *
   * @throws {CredentialsBackendError} `permission_required`, `backend_denied`, `backend_unavailable`.
   */
  async deleteAll(): Promise<void> {
    await this.close();
    if (this.persistent) (await loadDatabase()).removeDatabase(this.path);
  }

  /**
   * Runs `fn` while no other holder of the same key's lock runs.
   *
   * For a file it is a kernel lock on a file beside the database. The lock ends with the holder's
   * process. A holder that is stopped, for example by a closed laptop, keeps it.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}; `backend_locked` after `lockTimeoutMs`. A signal
   * that ends the wait throws its reason.
   */
  async withLock<T>(
    key: string,
    fn: () => Promise<T>,
    options: WithLockOptions<T> = {},
  ): Promise<T> {
    return await (await this.#open()).withLock(key, fn, options);
  }

  /** A file needs its folder, which also holds the locks and SQLite's own files. Memory needs nothing. */
  requiredPermissions(): BackendPermission[] {
    if (!this.persistent) return [];
    return readAndWrite(dirname(this.path));
  }

  /** Closes the store. Entries in `:memory:` are gone. A later use opens it again. */
  async close(): Promise<void> {
    (await this.#database.forget()?.catch(() => undefined))?.close();
  }

  /** The entry, and a check that holds while its row is unchanged. */
  async #read(key: string) {
    const { value, ...check } = await this.#run(
      "read credentials from",
      (kv) => kv.get([...PREFIX, key]),
    );
    const entry = value ?? undefined;
    if (entry === undefined || isObject(entry)) return { entry: entry as OidcCredentials, check };
    const action = `read credentials from ${this.path}`;
    throw corruptEntry(action, `the entry for "${printable(key)}" is damaged`);
  }

  async #run<T>(action: string, operation: (kv: Deno.Kv) => Promise<T | undefined>) {
    return await (await this.#open()).run(action, operation);
  }

  #open() {
    return this.#database.get(async () => (await loadDatabase()).KvDatabase.open(this.#options));
  }
}

/** Deno would take a URL for the address of a server, or for a file name: both are refused. */
function refuseUrl(path: string) {
  if (!/^\s*(https?:|[a-z][a-z\d+.-]+:\/\/)/i.test(path)) return;
  throw invalidOptions(
    "create KvCredentialsBackend",
    'option "path" is a URL, and Deno KV is in memory or in a file',
    "Give the path of a file. Several hosts can share Vault, a helper (a program), or a store of your own.",
  );
}
