import { existsSync } from "@std/fs/exists";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { dirname } from "../common/path.ts";
import type { OidcCredentials, WithLockOptions } from "../oidc_credentials_backend.ts";
import { type CredentialsDocument, readDocument } from "./credentials_file.ts";
import {
  assertWritable,
  emptyDocument,
  looksLikeCredentials,
  serializeDocument,
  setRow,
} from "./edit_document.ts";
import { assertOwnLink, fileError, lstatIfPresent, readOwnFile } from "./file_access.ts";
import { type FileLockOptions, shortHash, withFileLock } from "./lock.ts";
import { removeIfPresent, replaceFile, ReservedFile, tempPath } from "./replace_file.ts";

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

/** The writing half of the file backend. It is loaded for the first write or lock. */
export class FileStore {
  readonly #options: FileStoreOptions;
  readonly #warned = new Set<string>();
  readonly #reserved = new Map<string, ReservedFile>();

  constructor(options: FileStoreOptions) {
    this.#options = options;
  }

  /** Sets one row. */
  async put(key: string, entry: OidcCredentials): Promise<void> {
    await this.#update((document) => {
      setRow(document, key, entry);
      return true;
    }, this.#reserved.get(key));
  }

  /** Checks that a write is possible, and keeps the space that a `put` under `key` will need. */
  async reserve(key: string, bytes: number): Promise<AsyncDisposable> {
    const path = this.#prepare();
    return await this.#locked(`${path}.lock`, () => {
      try {
        const document = readForUpdate(path);
        assertWritable(document, path);
        const size = new TextEncoder().encode(serializeDocument(document)).length + bytes;
        const temp = tempPath(`${path}.${shortHash(key)}`);
        return this.#keep(key, new ReservedFile(temp, size + HEADROOM_BYTES));
      } catch (error) {
        throw fileError("write", path, error);
      }
    });
  }

  /** Removes one row. The file is not written where the row is absent. */
  async delete(key: string): Promise<void> {
    await this.#update(({ credentials }) => {
      if (!Object.hasOwn(credentials, key)) return false;
      return delete credentials[key];
    });
  }

  /** Deletes the file, and the temp file that a crash left. It parses neither. */
  async deleteAll(): Promise<void> {
    const path = this.#prepare();
    await this.#locked(`${path}.lock`, () => {
      try {
        assertDeletable(path, this.#options.path);
        removeIfPresent(tempPath(path));
        // A link without its target would be an error from now on, so the target is emptied instead.
        if (path !== this.#options.path) replaceFile(path, serializeDocument(emptyDocument()));
        else removeIfPresent(path);
      } catch (error) {
        throw fileError("delete", path, error);
      }
    });
  }

  /** Runs `fn` under the lock of one key. A write takes another lock. */
  async withLock<T>(
    key: string,
    fn: () => Promise<T>,
    { signal, peek }: WithLockOptions<T>,
  ): Promise<T> {
    const path = this.#prepare();
    return await this.#locked(`${path}.${shortHash(key)}.lock`, fn, {
      paceMs: REFRESH_MS,
      signal,
      peek,
    });
  }

  /** Reads, changes and replaces the file under its lock. `change` returns whether to write. */
  async #update(
    change: (document: CredentialsDocument) => boolean,
    reserved?: ReservedFile,
  ): Promise<void> {
    const path = this.#prepare();
    await this.#locked(`${path}.lock`, () => {
      try {
        const mode = modeOf(path);
        const document = readForUpdate(path);
        if (!change(document)) return;
        assertWritable(document, path);
        replaceFile(path, serializeDocument(document), reserved);
        if (mode !== undefined && isOpen(mode)) this.#warnOfMode("file", path, mode);
      } catch (error) {
        throw fileError("write", path, error);
      }
    });
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

  #locked<T>(
    path: string,
    fn: () => T | Promise<T>,
    options: Omit<FileLockOptions<T>, "timeoutMs"> = {},
  ): Promise<T> {
    return withFileLock(path, fn, { timeoutMs: this.#options.lockTimeoutMs, ...options });
  }

  /** Makes the folder. Returns the path of the file itself, also where the given path is a link. */
  #prepare(): string {
    const { path } = this.#options;
    try {
      this.#prepareFolder(dirname(path));
      return resolveLink(path);
    } catch (error) {
      throw fileError("write", path, error);
    }
  }

  /** Closes the module's own folder to others. A folder of the caller's choice keeps its mode. */
  #prepareFolder(folder: string): void {
    // Not by ensureDirSync, whose folder would be open to others until its mode is changed.
    if (!existsSync(folder)) return Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (!/[/\\]\.validmind$/.test(folder)) return;
    const mode = modeOf(folder);
    if (mode === undefined || !isOpen(mode)) return;
    Deno.chmodSync(folder, 0o700);
    this.#warnOfMode("folder", folder, mode);
  }

  #warnOfMode(kind: "file" | "folder", path: string, mode: number): void {
    if (this.#warned.has(kind)) return;
    this.#warned.add(kind);
    try {
      this.#options.onWarning(
        `${path} could be read by others on this host (mode ${mode.toString(8)}); ` +
          `it is now closed to them. If others use this host, sign in again.`,
      );
    } catch {
      // The mode has been changed. A closed standard error must not turn that into a failure.
    }
  }
}

/** The permission bits of a file or folder, or `undefined` where there is none. */
function modeOf(path: string): number | undefined {
  try {
    return (Deno.statSync(path).mode ?? 0) & 0o777;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Whether a mode lets others than the owner in. Windows has no such bits. */
function isOpen(mode: number): boolean {
  return Deno.build.os !== "windows" && (mode & 0o077) !== 0;
}

/** Whether the path alone marks a credentials file: the place of the default one. */
function isOwnPlace(path: string): boolean {
  return /(^|[/\\])\.validmind[/\\]credentials\.json$/.test(path);
}

/** Refuses to delete a file of another user or, where a wrong path may name it, of another program. */
function assertDeletable(path: string, given: string): void {
  let text: string;
  try {
    text = new TextDecoder().decode(readOwnFile(path).bytes);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  if (path === given && isOwnPlace(path) || looksLikeCredentials(text)) return;
  throw new CredentialsBackendError(
    "backend_corrupt",
    `Cannot delete ${path}: it does not look like a credentials file. Check the path; if it is the ` +
      `right one, delete the file yourself.`,
  );
}

function readForUpdate(path: string): CredentialsDocument {
  try {
    return readDocument(path).document;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return emptyDocument();
    throw error;
  }
}

/** The target of a link; the path itself where it is no link, or nothing is there yet. */
function resolveLink(path: string): string {
  const link = lstatIfPresent(path);
  if (!link?.isSymlink) return path;
  const target = Deno.realPathSync(path);
  try {
    assertOwnLink("write", path, link, Deno.lstatSync(target));
  } catch (error) {
    throw fileError("write", target, error); // a missing permission is the one for the target
  }
  return target;
}
