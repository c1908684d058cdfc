import { existsSync } from "@std/fs/exists";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { folderOf } from "../credentials_path.ts";
import type { OidcCredentials, WithLockOptions } from "../oidc_credentials_backend.ts";
import { type CredentialsDocument, fileState, readDocument } from "./credentials_file.ts";
import { assertWritable, emptyDocument, serializeDocument, setRow } from "./edit_document.ts";
import { assertDeletable, resolveLink } from "./find_file.ts";
import { fileError, lstatIfPresent } from "./file_access.ts";
import { type FileLockOptions, shortHash, withFileLock } from "./lock.ts";
import {
  leftTemps,
  makeFolder,
  removeIfPresent,
  replaceFile,
  ReservedFile,
  syncFolder,
  tempPath,
} from "./replace_file.ts";

/** Options of {@linkcode FileStore}. */
export interface FileStoreOptions {
  /** The path of the credentials file. */
  path: string;
  /** Longest wait for a lock, in milliseconds. */
  lockTimeoutMs: number;
  /** Called at most once for the file and once for its folder, when it was open to others. */
  onWarning: (message: string) => void;
}

/** About how long a refresh holds its lock. */
const REFRESH_MS = 20;
/** Room for the indentation of a coming entry, and for a key that other rows get meanwhile. */
const HEADROOM_BYTES = 4096;
/** A program without the lock may write between a read and a rename, but hardly each time. */
const TRIES = 20;

/** The writing half of the file backend. It is loaded for the first write or lock. */
export class FileStore {
  readonly #options: FileStoreOptions;
  readonly #warned = new Set<string>();
  readonly #reserved = new Map<string, ReservedFile>();
  readonly #held = new Map<string, () => boolean>();

  constructor(options: FileStoreOptions) {
    this.#options = options;
  }

  /** Sets one row. */
  async put(key: string, entry: OidcCredentials): Promise<void> {
    const path = this.#prepare();
    await this.#locked(`${path}.lock`, () => {
      this.#change(path, (document) => {
        setRow(document, key, entry);
        return true;
      }, this.#reserved.get(key));
    });
  }

  /** Checks that a write is possible, and keeps the space that a `put` under `key` will need. */
  async reserve(key: string, bytes: number): Promise<AsyncDisposable> {
    const path = this.#prepare();
    if (this.#held.get(key)?.() === false) throw lockLost(lockPath(path, key));
    return await this.#locked(`${path}.lock`, () => {
      try {
        const { document } = readForUpdate(path);
        assertWritable(document, path);
        const size = new TextEncoder().encode(serializeDocument(document)).length + bytes;
        const temp = tempPath(`${path}.${shortHash(key)}`);
        return this.#keep(key, new ReservedFile(temp, size + HEADROOM_BYTES));
      } catch (error) {
        throw fileError("write", path, error);
      }
    });
  }

  /** Removes one row, and the temp files that a killed write left. */
  async delete(key: string): Promise<void> {
    const path = this.#resolve();
    if (!hasRow(path, key) && leftTemps(path).length === 0) return;
    this.#prepare();
    await this.#lockedIfPossible(`${path}.lock`, () => {
      this.#change(path, ({ credentials }) => {
        if (!Object.hasOwn(credentials, key)) return false;
        return delete credentials[key];
      });
      this.#removeTemps(path);
    });
  }

  /** Deletes the file, whole or damaged, and the temp files that a killed write left. */
  async deleteAll(): Promise<void> {
    const path = this.#prepare();
    await this.#lockedIfPossible(`${path}.lock`, () => {
      try {
        assertDeletable(path, this.#options.path);
        // A link without its target would be an error from now on, so the target is emptied instead.
        if (path !== this.#options.path) replaceFile(path, serializeDocument(emptyDocument()));
        else removeIfPresent(path);
      } catch (error) {
        throw fileError("delete", path, error);
      }
      this.#removeTemps(path);
      syncFolder(folderOf(path));
    });
  }

  /** Runs `fn` under the lock of one key. A write takes another lock. */
  async withLock<T>(
    key: string,
    fn: () => Promise<T>,
    { signal, peek }: WithLockOptions<T>,
  ): Promise<T> {
    const path = this.#prepare();
    const run = async (isHeld: () => boolean) => {
      this.#held.set(key, isHeld);
      try {
        return await fn();
      } finally {
        this.#held.delete(key);
      }
    };
    return await this.#locked(lockPath(path, key), run, { paceMs: REFRESH_MS, signal, peek });
  }

  /**
   * Reads, changes and replaces the file. `change` returns whether to write. A program without this lock
   * may write the file meanwhile: then its content is read and changed anew.
   */
  #change(
    path: string,
    change: (document: CredentialsDocument) => boolean,
    reserved?: ReservedFile,
  ): void {
    try {
      for (let tries = 0;; tries++) {
        const { document, info } = readForUpdate(path);
        if (!change(document)) return;
        assertWritable(document, path);
        const isUnchanged = () => tries === TRIES || isSameState(info, lstatIfPresent(path));
        if (!replaceFile(path, serializeDocument(document), { reserved, isUnchanged })) continue;
        if (info !== undefined && isOpen(info)) this.#warnOfMode("file", path, info);
        return;
      }
    } catch (error) {
      throw fileError("write", path, error);
    }
  }

  #removeTemps(path: string): void {
    for (const temp of leftTemps(path)) {
      try {
        removeIfPresent(temp);
      } catch (error) {
        throw fileError("delete", temp, error);
      }
    }
  }

  /** Keeps a reserved file for the next `put` under `key`, until the reservation ends. */
  #keep(key: string, reserved: ReservedFile): AsyncDisposable {
    this.#reserved.set(key, reserved);
    const end = () => {
      if (this.#reserved.get(key) === reserved) this.#reserved.delete(key);
      try {
        reserved.release();
      } catch {
        // The file holds zeros, and the next reservation replaces it.
      }
    };
    return { [Symbol.asyncDispose]: () => Promise.try(end) };
  }

  /** Runs `fn` also where a neighbour has planted the lock file, or holds it for ever. */
  async #lockedIfPossible(path: string, fn: () => void): Promise<void> {
    let hasBegun = false;
    try {
      await this.#locked(path, () => {
        hasBegun = true;
        fn();
      });
    } catch (error) {
      const { code } = error as CredentialsBackendError;
      if (hasBegun || code === "permission_required") throw error;
      fn();
    }
  }

  #locked<T>(
    path: string,
    fn: (isHeld: () => boolean) => T | Promise<T>,
    options: Omit<FileLockOptions<T>, "timeoutMs"> = {},
  ): Promise<T> {
    return withFileLock(path, fn, { timeoutMs: this.#options.lockTimeoutMs, ...options });
  }

  /** Makes the folder. Returns the path of the file itself, also where the given path is a link. */
  #prepare(): string {
    const { path } = this.#options;
    try {
      this.#prepareFolder(folderOf(path));
    } catch (error) {
      throw fileError("write", path, error);
    }
    return this.#resolve();
  }

  #resolve(): string {
    const { path } = this.#options;
    try {
      return resolveLink(path);
    } catch (error) {
      throw fileError("write", path, error);
    }
  }

  /** Closes the module's own folder to others. A folder of the caller's choice keeps its mode. */
  #prepareFolder(folder: string): void {
    // Not by ensureDirSync, whose folder would be open to others until its mode is changed.
    if (!existsSync(folder)) return makeFolder(folder);
    if (!/[/\\]\.validmind$/.test(folder)) return;
    const info = lstatIfPresent(folder);
    // The target of a link is a folder of the caller's choice.
    if (info === undefined || !info.isDirectory || !isOpen(info)) return;
    try {
      Deno.chmodSync(folder, 0o700);
    } catch {
      // Of another owner, or without modes. The warning says that it is open.
    }
    this.#warnOfMode("folder", folder, info);
  }

  #warnOfMode(kind: "file" | "folder", path: string, before: Deno.FileInfo): void {
    if (this.#warned.has(kind)) return;
    this.#warned.add(kind);
    const mode = ((before.mode ?? 0) & 0o777).toString(8);
    const now = lstatIfPresent(path);
    const advice = now !== undefined && isOpen(now)
      ? "it could not be closed to them. Use another path."
      : "it is now closed to them. If others use this host, sign in again.";
    try {
      this.#options.onWarning(
        `${path} could be read by others on this host (mode ${mode}); ${advice}`,
      );
    } catch {
      // A closed standard error must not turn the write into a failure.
    }
  }
}

function lockPath(path: string, key: string): string {
  return `${path}.${shortHash(key)}.lock`;
}

function lockLost(path: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_locked",
    `Cannot keep the lock ${path}: its file was removed or replaced, so another process may hold it, ` +
      `too. Try again.`,
  );
}

/** Whether a file has the same content as before, as far as its information tells. */
function isSameState(before: Deno.FileInfo | undefined, now: Deno.FileInfo | undefined): boolean {
  if (before === undefined || now === undefined) return before === now;
  return fileState(before) === fileState(now);
}

/** Whether others than the owner may open a file or folder. Windows has no such bits. */
function isOpen({ mode }: Deno.FileInfo): boolean {
  return Deno.build.os !== "windows" && ((mode ?? 0) & 0o077) !== 0;
}

function hasRow(path: string, key: string): boolean {
  try {
    return Object.hasOwn(readForUpdate(path).document.credentials, key);
  } catch (error) {
    throw fileError("read", path, error);
  }
}

function readForUpdate(path: string): { document: CredentialsDocument; info?: Deno.FileInfo } {
  try {
    return readDocument(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { document: emptyDocument() };
    throw error;
  }
}
