import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { folderOf } from "../common/platform.ts";
import { delay } from "../common/promises.ts";
import type { OidcCredentials, PutOptions, WithLockOptions } from "../oidc_credentials_backend.ts";
import {
  claimRow,
  LastWrites,
  type LibraryUse,
  libraryUse,
  noteLibrary,
  OwnWrite,
  unclaimRow,
} from "./beside_python.ts";
import {
  type CredentialsDocument,
  fileState,
  getEntry,
  type ReadDocument,
  readDocument,
} from "./credentials_file.ts";
import {
  assertWritable,
  emptyDocument,
  parseUnfinished,
  rowOf,
  rowText,
  rowWriter,
  serializeDocument,
  serializeUnfinished,
  setRow,
  type UnfinishedEntry,
} from "./edit_document.ts";
import { fileError, lookIfPresent, readOwnFile } from "./file_access.ts";
import { type FileLockOptions, shortHash, withFileLock } from "./lock.ts";
import {
  assertDeletable,
  makeFolder,
  removeIfPresent,
  replaceFile,
  type ResolvedPath,
  resolveLink,
  syncFolder,
  tempPath,
} from "./replace_file.ts";
import { isOwnFile, leftTemps, ReservedFile, untilReserved } from "./reserved_file.ts";

/** Options of {@linkcode FileStore}. */
export interface FileStoreOptions {
  /** The path of the credentials file. */
  path: string;
  /** Longest wait for a lock, in milliseconds. */
  lockTimeoutMs: number;
  /** Called at most once for the file and once for its folder, when it was open to others. */
  onWarning: (message: string) => void;
  /**
   * How long a refresh of the Python library is given to end, in milliseconds.
   *
   * @default {1000} where the library is known to use the row, and else 100
   */
  pythonMs?: number;
}

/** A reserved file, and the row that its entry will replace. */
interface Reservation {
  reserved: ReservedFile;
  replaces: string;
  /** The row is claimed against the Python library where that may use it. */
  use: LibraryUse;
}

interface ChangeOptions {
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

/** About how long a refresh holds its lock. */
const REFRESH_MS = 20;
/** A write of the Python library takes about a millisecond, and on a busy machine some more. */
const PAUSE_MS = 5;
const PAUSES = 6;
/** The Python library reads a refresh token, finds the provider's endpoints, and sends it. */
const PYTHON_REFRESH_MS = 1000;
/** The same where nothing tells of the library: as long as it takes on one machine with its provider. */
const POSSIBLE_REFRESH_MS = 100;
/** Between two looks for the end of its refresh. */
const LOOK_MS = 20;
/** Room for the indentation of a coming entry, and for a key that other rows get meanwhile. */
const HEADROOM_BYTES = 4096;
/** A program without the lock may write between a read and a rename, but hardly each time. */
const TRIES = 20;

/** The writing half of the file backend. It is loaded for the first write or lock. */
export class FileStore {
  readonly #options: FileStoreOptions;
  readonly #warned = new Set<string>();
  readonly #writes: LastWrites;
  readonly #reserved = new Map<string, Reservation>();
  readonly #held = new Map<string, () => boolean>();
  #hasReserved = false;

  constructor(options: FileStoreOptions) {
    this.#options = options;
    this.#writes = LastWrites.to(options.path);
  }

  /** Sets one row. */
  async put(
    key: string,
    entry: OidcCredentials,
    { isReplaced = () => true }: PutOptions = {},
  ): Promise<void> {
    const { path, found } = this.#prepare();
    const reserved = this.#reserved.get(key);
    // Who has reserved keeps others out by the reserved file, too.
    if (reserved === undefined) this.#assertHeld(path, key);
    let isSet = false;
    let before: unknown;
    const set = (document: CredentialsDocument) => {
      before = rowOf(document, key);
      isSet = isReplaced(getEntry(document, key, path));
      if (isSet) setRow(document, key, entry);
      return isSet;
    };
    const options = { row: key, reserved: reserved?.reserved, found };
    try {
      await this.#write(path, (isHeld) => this.#change(path, set, { ...options, isHeld }));
      if (reserved !== undefined && isSet) reserved.use = "none"; // the claimed row is gone
      if (isSet) await this.#outlast(path, key, entry, before);
    } catch (error) {
      if (reserved !== undefined) {
        leaveUnfinished(reserved, key, entry);
        reserved.use = "none"; // nobody else may send a token that is used up
      }
      throw error;
    }
  }

  /**
   * Checks that a write is possible, and keeps the space that a `put` under `key` will need. Waits while
   * another process has reserved the same: the key's lock does not exclude it where somebody has removed
   * the lock file.
   */
  async reserve(key: string, bytes: number): Promise<AsyncDisposable> {
    const { path } = this.#prepare();
    this.#assertHeld(path, key);
    this.#reserved.get(key)?.reserved.release();
    const temp = tempPath(`${path}.${shortHash(key)}`);
    const attempt = async () => {
      let made: Reservation | undefined;
      await this.#write(path, (isHeld) => {
        if (!this.#finish(path, key, temp, isHeld)) return false;
        made = this.#tryReserve(path, key, temp, bytes);
        return made === undefined || made.use === "none" || this.#claim(path, key, made, isHeld);
      });
      return made;
    };
    const made = await untilReserved(temp, this.#options.lockTimeoutMs, attempt);
    const kept = this.#keep(path, key, made);
    try {
      await made.reserved.sync();
    } catch (error) {
      await kept[Symbol.asyncDispose]();
      throw fileError("write", path, error);
    }
    if (made.use !== "none") await this.#untilRefreshed(path, key, made);
    return kept;
  }

  #tryReserve(path: string, key: string, temp: string, bytes: number): Reservation | undefined {
    try {
      const read = readForUpdate(path);
      const { document } = read;
      assertWritable(document, path);
      // A text of which one row is written anew keeps its size.
      const size = rowWriter(read, key) === undefined
        ? new TextEncoder().encode(serializeDocument(document)).length
        : read.info!.size;
      const reserved = ReservedFile.create(temp, size + bytes + HEADROOM_BYTES);
      if (reserved === undefined) return undefined;
      return { reserved, replaces: rowText(document, key), use: this.#useOf(read, key) };
    } catch (error) {
      throw fileError("write", path, error);
    }
  }

  #claim(path: string, key: string, { reserved }: Reservation, isHeld: () => boolean): boolean {
    let isDone = false;
    const claim = (document: CredentialsDocument, read: ReadForUpdate) =>
      this.#useOf(read, key) !== "none" && claimRow(document, key);
    try {
      return isDone = this.#change(path, claim, { row: key, isHeld, isLasting: false });
    } finally {
      if (!isDone) reserved.release();
    }
  }

  #useOf(read: ReadForUpdate, key: string): LibraryUse {
    return libraryUse(read, key, this.#options.path);
  }

  /**
   * Waits while the Python library may be refreshing a row: it may have read the row before the claim. Ends
   * where the library has stored another one.
   */
  async #untilRefreshed(path: string, key: string, { replaces, use }: Reservation): Promise<void> {
    const isKnown = use === "known";
    const { pythonMs = isKnown ? PYTHON_REFRESH_MS : POSSIBLE_REFRESH_MS } = this.#options;
    // Before its first request a process loads code and asks for the endpoints, which takes as long. The
    // first timer of a process takes Deno a tenth of a refresh.
    const isFirst = !this.#hasReserved;
    this.#hasReserved = true;
    if (!isKnown) return isFirst ? undefined : await delay(pythonMs);
    const end = performance.now() + pythonMs;
    while (performance.now() < end) {
      await delay(LOOK_MS);
      const read = tryRead(path);
      if (read !== undefined && rowText(read.document, key) !== replaces) return;
    }
  }

  async #unclaim(path: string, key: string): Promise<void> {
    const unclaim = (document: CredentialsDocument) => unclaimRow(document, key);
    const how = { row: key, isLasting: false };
    await this.#write(path, (isHeld) => this.#change(path, unclaim, { ...how, isHeld }));
  }

  /** Stores an entry that an earlier process could not store, unless its row has changed since. */
  #finish(path: string, key: string, temp: string, isHeld: () => boolean): boolean {
    const unfinished = readUnfinished(temp);
    if (unfinished?.key !== key) return true;
    return this.#change(path, (document) => {
      if (rowText(document, key) !== unfinished.replaces) return false;
      setRow(document, key, unfinished.entry);
      return true;
    }, { isHeld });
  }

  /** Removes one row, and the temp files that a killed write left. */
  async delete(key: string): Promise<void> {
    const { path } = this.#resolve();
    const previous = this.#writes.forget(key);
    if (!hasRow(path, key) && leftTemps(path).length === 0) return;
    this.#prepare();
    let before: unknown;
    await this.#lockedIfPossible(path, (isHeld, isLocked) => {
      const isDone = this.#change(path, (document) => {
        before = rowOf(document, key);
        if (!Object.hasOwn(document.credentials, key)) return false;
        return delete document.credentials[key];
      }, { isHeld, isLocked });
      if (isDone) this.#removeTemps(path, key);
      return isDone;
    });
    if (before !== undefined) await this.#outlast(path, key, undefined, before, previous);
  }

  /** Deletes the file, whole or damaged, and the temp files that a killed write left. */
  async deleteAll(): Promise<void> {
    const { path } = this.#prepare();
    this.#writes.forgetAll();
    await this.#lockedIfPossible(path, (_isHeld, isLocked) => {
      try {
        assertDeletable(path, this.#options.path);
        // A link without its target would be an error from now on, so the target is emptied instead.
        if (path === this.#options.path) removeIfPresent(path);
        else replaceFile(path, serializeDocument(emptyDocument()), { isLocked });
      } catch (error) {
        throw fileError("delete", path, error);
      }
      this.#removeTemps(path);
      syncFolder(folderOf(path));
      return true;
    });
  }

  /** Runs `fn` under the lock of one key. A write takes another lock. */
  async withLock<T>(
    key: string,
    fn: () => Promise<T>,
    { signal, peek }: WithLockOptions<T>,
  ): Promise<T> {
    const { path } = this.#prepare();
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
   *
   * @returns `false` where the lock was lost before the file was replaced.
   */
  #change(
    path: string,
    change: (document: CredentialsDocument, read: ReadForUpdate) => boolean,
    { row, found, isHeld, ...how }: ChangeOptions,
  ): boolean {
    try {
      for (let tries = 0;; tries++) {
        const read = readForUpdate(path, tries === 0 ? found : undefined);
        const { document, info, isOfPython = false } = read;
        this.#writes.isShared ||= isOfPython;
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

  /**
   * Notes a write to a row, and makes it again where the Python library undoes it: that library has no lock,
   * and had read the file before the write. The wait for it takes the time of one of its writes, and is
   * left out where the file was never seen with a text of the library: then the next call looks.
   */
  async #outlast(
    path: string,
    key: string,
    entry: OidcCredentials | undefined,
    before: unknown,
    previous?: OwnWrite,
  ): Promise<void> {
    const write = new OwnWrite(key, entry, { before, previous: this.#writes.of(key) ?? previous });
    const watch = () => this.#watch(path, write);
    this.#writes.add(write, () => this.#restore(path, write).then(watch));
    if (this.#writes.isShared) await watch();
  }

  async #watch(path: string, write: OwnWrite): Promise<void> {
    for (let pauses = 0, times = 0; pauses < PAUSES && times < TRIES; pauses++) {
      await delay(PAUSE_MS);
      if (!this.#writes.isLast(write)) return;
      if (!write.isUndoneIn(tryRead(path) ?? {})) continue;
      await this.#restore(path, write);
      times++;
      pauses = 0;
    }
  }

  /** Makes a write again, where it is still undone. */
  async #restore(path: string, write: OwnWrite): Promise<void> {
    const apply = (document: CredentialsDocument, read: ReadForUpdate) => {
      if (!this.#writes.isLast(write) || !write.isUndoneIn(read)) return false;
      write.applyTo(document);
      return true;
    };
    await this.#write(path, (isHeld) => this.#change(path, apply, { isHeld }));
  }

  /** @param key Whose unfinished entry goes, too; all of them by default. */
  #removeTemps(path: string, key?: string): void {
    for (const temp of leftTemps(path)) {
      const owner = readUnfinished(temp)?.key;
      if (key !== undefined && owner !== undefined && owner !== key) continue;
      try {
        removeIfPresent(temp);
      } catch (error) {
        throw fileError("delete", temp, error);
      }
    }
  }

  /** Keeps a reserved file for the next `put` under `key`, until the reservation ends. */
  #keep(path: string, key: string, made: Reservation): AsyncDisposable {
    this.#reserved.set(key, made);
    const end = async () => {
      if (this.#reserved.get(key) === made) this.#reserved.delete(key);
      try {
        made.reserved.release();
        if (made.use !== "none") await this.#unclaim(path, key);
      } catch {
        // The file holds zeros, and the next reservation replaces it. A claim binds only other programs.
      }
    };
    return { [Symbol.asyncDispose]: end };
  }

  /** @throws {CredentialsBackendError} `backend_locked` where the key's lock excludes nobody any more. */
  #assertHeld(path: string, key: string): void {
    if (this.#held.get(key)?.() === false) throw lockLost(lockPath(path, key));
  }

  /** Runs `write` under the lock of the file, and again where somebody removed the lock file meanwhile. */
  async #write(path: string, write: (isHeld: () => boolean) => boolean): Promise<void> {
    const lock = `${path}.lock`;
    for (let tries = 0; tries < TRIES; tries++) {
      if (await this.#locked(lock, write)) return;
    }
    throw lockLost(lock);
  }

  /** Runs `write` also where a neighbour has planted the lock file, or holds it for ever. */
  async #lockedIfPossible(
    path: string,
    write: (isHeld: () => boolean, isLocked: boolean) => boolean,
  ): Promise<void> {
    let hasBegun = false;
    try {
      await this.#write(path, (isHeld) => {
        hasBegun = true;
        return write(isHeld, true);
      });
    } catch (error) {
      const { code } = error as CredentialsBackendError;
      if (hasBegun || code === "permission_required") throw error;
      write(() => true, false);
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
  #prepare(): ResolvedPath {
    const { path } = this.#options;
    try {
      this.#prepareFolder(folderOf(path));
    } catch (error) {
      throw fileError("write", path, error);
    }
    return this.#resolve();
  }

  #resolve(): ResolvedPath {
    const { path } = this.#options;
    try {
      return resolveLink(path);
    } catch (error) {
      throw fileError("write", path, error);
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

/**
 * Leaves an entry in its reserved file, where it could not be stored: the file is open, so that this
 * works also in a folder that has become unwritable. The next reservation stores it, instead of spending
 * the refresh token of the old entry once more.
 */
function leaveUnfinished(made: Reservation, key: string, entry: OidcCredentials): void {
  try {
    made.reserved.leave(serializeUnfinished({ key, replaces: made.replaces, entry }));
  } catch {
    // The error of the write says enough.
  }
}

function readUnfinished(temp: string): UnfinishedEntry | undefined {
  if (!isOwnFile(temp)) return undefined;
  return parseUnfinished(new TextDecoder().decode(readOwnFile(temp).bytes));
}

/** The document; `undefined` where it cannot be read now. The next access throws the error. */
function tryRead(path: string): ReadForUpdate | undefined {
  try {
    return readForUpdate(path);
  } catch {
    return undefined;
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

function hasRow(path: string, key: string): boolean {
  try {
    return Object.hasOwn(readForUpdate(path).document.credentials, key);
  } catch (error) {
    throw fileError("read", path, error);
  }
}

type ReadForUpdate = Pick<ReadDocument, "document"> & Partial<Omit<ReadDocument, "document">>;

/** @returns The document alone where there is no file. */
function readForUpdate(path: string, found?: Deno.FileInfo): ReadForUpdate {
  try {
    return readDocument(path, found);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { document: emptyDocument() };
    throw error;
  }
}
