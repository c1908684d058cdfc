import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { folderOf } from "../common/platform.ts";
import { LastWrites, noteLibrary } from "./beside_python.ts";
import {
  type CredentialsDocument,
  fileState,
  type ReadDocument,
  readDocument,
} from "./credentials_file.ts";
import { assertWritable, emptyDocument, rowWriter, serializeDocument } from "./edit_document.ts";
import { fileError, lookIfPresent } from "./file_access.ts";
import { type FileLockOptions, withFileLock } from "./lock.ts";
import {
  assertDeletable,
  makeFolder,
  removeIfPresent,
  replaceFile,
  type ResolvedPath,
  resolveLink,
} from "./replace_file.ts";
import type { ReservedFile } from "./reserved_file.ts";

/** Options of {@linkcode LockedFile}. */
export interface LockedFileOptions {
  /** The path of the credentials file. */
  path: string;
  /** Longest wait for a lock, in milliseconds. */
  lockTimeoutMs: number;
  /** Called at most once for the file and once for its folder, when it was open to others. */
  onWarning: (message: string) => void;
}

/** Options of {@linkcode LockedFile.change}. */
export interface ChangeOptions {
  /** The only row that is changed. */
  row?: string;
  reserved?: ReservedFile | undefined;
  /** The last look at the file. */
  found?: Deno.FileInfo | undefined;
  /** Whether the lock of the file still excludes others. */
  isHeld: () => boolean;
  /** Whether there is such a lock at all. */
  isLocked?: boolean;
  /** As in {@linkcode replaceFile}. */
  isLasting?: boolean;
}

/** What was read to be changed: an empty document alone where there is no file. */
export type ReadForUpdate = Pick<ReadDocument, "document"> & Partial<ReadDocument>;

/** A program without the lock may write between a read and a rename, but hardly each time. */
const TRIES = 20;

/** A credentials file that one program of this module changes at a time. */
export class LockedFile {
  readonly path: string;
  readonly lockTimeoutMs: number;
  /** The last writes of this process to the file. */
  readonly writes: LastWrites;
  readonly #onWarning: (message: string) => void;
  readonly #warned = new Set<string>();

  constructor({ path, lockTimeoutMs, onWarning }: LockedFileOptions) {
    this.path = path;
    this.lockTimeoutMs = lockTimeoutMs;
    this.writes = LastWrites.to(path);
    this.#onWarning = onWarning;
  }

  /** Makes the folder. Gives the path of the file itself, also where the given path is a link. */
  prepare(): ResolvedPath {
    try {
      this.#prepareFolder(folderOf(this.path));
    } catch (error) {
      throw fileError("write", this.path, error);
    }
    return this.resolve();
  }

  /** The path of the file itself, also where the given path is a link. */
  resolve(): ResolvedPath {
    try {
      return resolveLink(this.path);
    } catch (error) {
      throw fileError("write", this.path, error);
    }
  }

  /** Runs `fn` under the lock in this file, of the credentials file or of one key. */
  locked<T>(
    lock: string,
    fn: (isHeld: () => boolean) => T | Promise<T>,
    options: Omit<FileLockOptions<T>, "timeoutMs"> = {},
  ): Promise<T> {
    return withFileLock(lock, fn, { timeoutMs: this.lockTimeoutMs, ...options });
  }

  /** Runs `write` under the lock of the file, and again where somebody removed the lock file meanwhile. */
  async write(path: string, write: (isHeld: () => boolean) => boolean): Promise<void> {
    const lock = `${path}.lock`;
    for (let tries = 0; tries < TRIES; tries++) {
      if (await this.locked(lock, write)) return;
    }
    throw lockLost(lock);
  }

  /** Runs `write` also where a neighbour has planted the lock file, or holds it for ever. */
  async writeAnyway(
    path: string,
    write: (isHeld: () => boolean, isLocked: boolean) => boolean,
  ): Promise<void> {
    let hasBegun = false;
    try {
      await this.write(path, (isHeld) => {
        hasBegun = true;
        return write(isHeld, true);
      });
    } catch (error) {
      const { code } = error as CredentialsBackendError;
      if (hasBegun || code === "permission_required") throw error;
      write(() => true, false);
    }
  }

  /**
   * Reads, changes and replaces the file. `change` returns whether to write. A program without this lock
   * may write the file meanwhile: then its content is read and changed anew.
   *
   * @returns `false` where the lock was lost before the file was replaced.
   */
  change(
    path: string,
    change: (document: CredentialsDocument, read: ReadForUpdate) => boolean,
    { row, found, isHeld, ...how }: ChangeOptions,
  ): boolean {
    try {
      for (let tries = 0;; tries++) {
        const read = readForUpdate(path, tries === 0 ? found : undefined);
        const { document, info, isOfPython = false } = read;
        this.writes.isShared ||= isOfPython;
        const write = row === undefined || isOfPython ? undefined : rowWriter(read, row);
        if (!change(document, read)) return true;
        assertWritable(document, path);
        if (isOfPython) noteLibrary(document);
        const isUnchanged = () =>
          isHeld() && (tries === TRIES || isSameState(info, lookIfPresent(path)));
        const text = write?.() ?? serializeDocument(document);
        if (!replaceFile(path, text, { ...how, isUnchanged })) {
          if (!isHeld()) return false;
          continue;
        }
        if (info !== undefined && isOpen(info)) this.#warnOfMode("file", path, info);
        return true;
      }
    } catch (error) {
      throw fileError("write", path, error);
    }
  }

  /** Whether the file has this row, without its lock. */
  hasRow(path: string, key: string): boolean {
    try {
      return Object.hasOwn(readForUpdate(path).document.credentials, key);
    } catch (error) {
      throw fileError("read", path, error);
    }
  }

  /** Deletes the file, whole or damaged. */
  remove(path: string, isLocked: boolean): void {
    try {
      assertDeletable(path, this.path);
      // A link without its target would be an error from now on, so the target is emptied instead.
      if (path === this.path) removeIfPresent(path);
      else replaceFile(path, serializeDocument(emptyDocument()), { isLocked });
    } catch (error) {
      throw fileError("delete", path, error);
    }
  }

  /** Closes the module's own folder to others. A folder of the caller's choice keeps its mode. */
  #prepareFolder(folder: string): void {
    const info = lookIfPresent(folder);
    // Not by ensureDirSync, whose folder would be open to others until its mode is changed.
    const target = info?.isSymlink ? lookIfPresent(folder, Deno.statSync) : info;
    if (info === undefined || target === undefined) return makeFolder(folder);
    // The target of a link is a folder of the caller's choice.
    if (!/[/\\]\.validmind$/.test(folder) || !info.isDirectory || !isOpen(info)) return;
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
    const now = lookIfPresent(path);
    const advice = now !== undefined && isOpen(now)
      ? "it could not be closed to them. Use another path."
      : "it is now closed to them. If others use this host, sign in again.";
    try {
      this.#onWarning(`${path} could be read by others on this host (mode ${mode}); ${advice}`);
    } catch {
      // A closed standard error must not turn the write into a failure.
    }
  }
}

export function lockLost(path: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_locked",
    `Cannot keep the lock ${path}: its file was removed or replaced, so another process may hold it, ` +
      `too. Try again.`,
  );
}

/** The document; `undefined` where it cannot be read now. The next access throws the error. */
export function tryRead(path: string): ReadForUpdate | undefined {
  try {
    return readForUpdate(path);
  } catch {
    return undefined;
  }
}

/** @returns The document alone where there is no file. */
export function readForUpdate(path: string, found?: Deno.FileInfo): ReadForUpdate {
  try {
    return readDocument(path, found);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { document: emptyDocument() };
    throw error;
  }
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
