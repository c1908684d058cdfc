import { checkOptions } from "./common/check_options.ts";
import { dirname } from "./common/paths.ts";
import {
  credentialsPath,
  folderNeeds,
  getEntry,
  readDocument,
  realPathIfGranted,
} from "./file/document.ts";
import { PROVES } from "./common/marks.ts";
import { needDeno } from "./common/runtime.ts";
import type { FileStore, FileStoreOptions, HeldKey } from "./file/store.ts";
import type {
  BackendPermission,
  OidcCredentials,
  OidcCredentialsBackend,
  PutOptions,
  WithLockOptions,
} from "./oidc_credentials_backend.ts";

export { credentialsPath };

/** Loaded for the first write or lock. */
const loadStore = () => import("./file/store.ts");

/**
 * Options of {@linkcode FileCredentialsBackend}.
 *
 * @category Backends
 */
export interface FileCredentialsBackendOptions {
  /**
   * The path of the file. A relative path is resolved against the working directory at each access.
   *
   * @default {credentialsPath()}
   */
  path?: string;
  /**
   * Longest wait for another process's lock, in milliseconds.
   *
   * @default {30_000}
   */
  lockTimeoutMs?: number;
}

/**
 * Keeps credentials in one JSON file. The default file is shared with the ValidMind Python library: a
 * sign-in made by one of them is used by the other.
 *
 * The file is 0600 and the folder 0700. If others could read it before a write, a line on standard error
 * says so. A write replaces the whole file (temp file, fsync, rename)
 * under a kernel lock. Processes that write different keys lose nothing. A crash leaves neither half
 * a file nor a lock. A write that has resolved survives a power cut. Only a new folder may be lost,
 * with the first sign-in in it.
 *
 * The Python library takes no lock. Every write of this module keeps the rows of Python. A row that
 * Python has removed is signed out.
 *
 * If the path is a link, its target is written. Fields that this release does not know are kept. A
 * file of a higher version is read but not written. A file that cannot be understood is an error and
 * stays unchanged.
 *
 * The tokens in the file are not encrypted: everyone who can read the file can use them.
 *
 * Needs `--allow-read` for the file to use stored tokens. To store tokens it needs `--allow-read` and
 * `--allow-write` for the folder. Without a path it needs `--allow-env=HOME` (`USERPROFILE` on Windows).
 *
 * @category Backends
 *
 * @example
 * ```ts
 * import { FileCredentialsBackend } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * const backend = new FileCredentialsBackend({ path: `${folder}/credentials.json` });
 * assertEquals(backend.get("https://login.example.com|my-app"), undefined);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export class FileCredentialsBackend implements OidcCredentialsBackend {
  /** The name of the class, also in minified code. */
  static readonly name = "FileCredentialsBackend";
  /** Always `true`: a file survives the process. */
  readonly persistent = true;
  /**
   * {@linkcode withLock} proves that the file can be written.
   *
   * @ignore
   */
  readonly [PROVES] = true;
  /** The file. */
  readonly path: string;
  readonly #isDefaultPath: boolean;
  /** The keys whose lock is held. */
  readonly #held = new Map<string, HeldKey>();
  readonly #options: FileStoreOptions;
  #store: Promise<FileStore> | undefined;

  /**
   * Accesses no file yet.
   *
   * @param options The path of the file, and the time limit of its lock.
   * @throws {CredentialsBackendError} `invalid_options`, `runtime_unsupported`; without a path also
   * `permission_required` and `home_unset`.
   */
  constructor(options: FileCredentialsBackendOptions = {}) {
    needDeno("create FileCredentialsBackend");
    checkOptions("create FileCredentialsBackend", options, {
      path: "path",
      lockTimeoutMs: "milliseconds",
    });
    const { path, lockTimeoutMs } = options;
    this.path = path ?? credentialsPath();
    this.#isDefaultPath = path === undefined;
    this.#options = { path: this.path, lockTimeoutMs, held: this.#held };
  }

  /** The file's path. */
  get location(): string {
    return this.path;
  }

  /** The file's real path, as far as Deno permits to look. */
  get storeId(): string {
    return `file ${realPathIfGranted(this.path)}`;
  }

  /**
   * The entry under `key`, or `undefined` when the file or the row is absent. Reads synchronously,
   * which costs half as much for a small file.
   *
   * @throws {CredentialsBackendError} `permission_required`, `backend_denied`, `backend_corrupt`,
   * `backend_unavailable`.
   */
  get(key: string): OidcCredentials | undefined {
    const { document, info } = readDocument(this.path);
    if (!info) this.#held.get(key)?.assertHeld();
    return getEntry(document, key, this.path);
  }

  /**
   * Stores `entry` under `key` and resolves once it is on the disk. Gives whether it was stored.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}, and `backend_version`, `backend_locked`,
   * `backend_full`, `runtime_unsupported`. The file is then as it was.
   */
  async put(key: string, entry: OidcCredentials, options?: PutOptions): Promise<boolean> {
    const store = await this.#openStore();
    return await store.put(key, entry, options);
  }

  /**
   * Removes the entry under `key`, if there is one.
   *
   * @throws {CredentialsBackendError} As {@linkcode put}.
   */
  async delete(key: string): Promise<void> {
    const store = await this.#openStore();
    await store.delete(key);
  }

  /**
   * The keys of all entries.
   *
   * @throws {CredentialsBackendError} As {@linkcode get}.
   */
  async *list(): AsyncGenerator<string> {
    const { credentials } = readDocument(this.path).document;
    yield* Object.keys(credentials).filter((key) => credentials[key] !== null);
  }

  /**
   * Read of the file, and read and write of its folder, which also holds the temp file and the locks.
   * The default path also needs the variable of the home folder.
   */
  requiredPermissions(): BackendPermission[] {
    const needs = folderNeeds(dirname(this.path), this.#isDefaultPath);
    return [{ name: "read", path: this.path }, ...needs];
  }

  /**
   * Deletes the file, even if it cannot be understood. A file that does not look like a credentials
   * file is an error and stays.
   *
   * @throws {CredentialsBackendError} `permission_required`, `backend_denied`, `backend_locked`,
   * `backend_unavailable`.
   */
  async deleteAll(): Promise<void> {
    const store = await this.#openStore();
    await store.deleteAll();
  }

  /**
   * Runs `fn` while no other process or session on this host holds the lock of the same key. Before
   * that it writes a temp file of the coming size, which the next `put` under the key uses. So a
   * store that cannot be written is found before `fn` runs.
   *
   * @throws {CredentialsBackendError} As {@linkcode put}; `backend_locked` after `lockTimeoutMs`. A signal
   * that ends the wait throws its reason.
   */
  async withLock<T>(
    key: string,
    fn: () => Promise<T>,
    options: WithLockOptions<T> = {},
  ): Promise<T> {
    const store = await this.#openStore();
    return await store.withLock(key, fn, options);
  }

  #openStore() {
    return this.#store ??= loadStore().then(({ FileStore }) => new FileStore(this.#options));
  }
}

/**
 * Runs `fn` while no other process or session on this host holds the lock of the same path and key.
 * With it you can write the `withLock` of a store of your own.
 *
 * The lock is the kernel's, on one of 256 empty files beside `path`, such as `path.0f.lock`. They
 * stay. When a process ends or is killed, its lock is free at once. The wait for a lock ends after 30
 * seconds.
 *
 * Needs `--allow-read` and `--allow-write` for the folder of `path`.
 *
 * @param path The store's file, or any name in a folder that all processes share. A missing folder is made.
 * @param key The key of the entry.
 * @param fn Runs under the lock.
 * @param options As `withLock` gets them.
 * @returns The value of `fn`.
 * @throws {CredentialsBackendError} `invalid_options`, `backend_locked` after 30 seconds,
 * `permission_required`, `backend_denied`, `backend_unavailable`, `runtime_unsupported`. A signal that ends the wait throws its
 * reason.
 * @category Backends
 *
 * @example
 * ```ts
 * import { withFileLock } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * const value = await withFileLock(`${folder}/team.db`, "key", () => Promise.resolve("alone"));
 * assertEquals(value, "alone");
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function withFileLock<T>(
  path: string,
  key: string,
  fn: () => Promise<T>,
  options?: WithLockOptions<T>,
): Promise<T> {
  needDeno("lock a file");
  const { withKeyLock } = await loadStore();
  return await withKeyLock(path, key, fn, { ...options });
}
