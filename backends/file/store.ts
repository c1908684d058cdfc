import { CredentialsBackendError } from "../credentials_backend_error.ts";
import {
  assertWritable,
  type CredentialsDocument,
  emptyDocument,
  fileError,
  isMissing,
  looksLikeCredentials,
  readDocument,
  serializeDocument,
} from "./credentials_file.ts";
import { folderOf } from "../credentials_path.ts";
import { type FileLockOptions, shortHash, withFileLock } from "./lock.ts";
import type { WithLockOptions } from "../oidc_credentials_backend.ts";

/** What {@linkcode FileStore} is told. */
export interface FileStoreOptions {
  /** Where the file is, or is to be. */
  path: string;
  /** Longest wait for a lock, in milliseconds. */
  lockTimeoutMs: number;
  /** Told, once per kind, of what a person should know. */
  onWarning: (message: string) => void;
}

/** About how long a refresh holds its lock. */
const REFRESH_MS = 20;

/** The writing half of the file backend: loaded only when something is written or locked. */
export class FileStore {
  readonly #options: FileStoreOptions;
  readonly #warned = new Set<string>();

  constructor(options: FileStoreOptions) {
    this.#options = options;
  }

  /**
   * Reads, changes and replaces the file under its lock. `change` gives `false` when there is
   * nothing to write.
   */
  async update(change: (document: CredentialsDocument) => boolean): Promise<void> {
    const path = this.#prepare();
    await this.#locked(`${path}.lock`, () => {
      try {
        const mode = modeOf(path);
        const document = readForUpdate(path);
        if (!change(document)) return;
        assertWritable(document, path);
        writeFileAtomic(path, serializeDocument(document));
        if (mode !== undefined && isOpen(mode)) this.#warnOfMode("file", path, mode);
      } catch (error) {
        throw fileError("write", path, error);
      }
    });
  }

  /** Deletes the file, and what a crash left beside it, without a need to understand either. */
  async remove(): Promise<void> {
    const path = this.#prepare();
    await this.#locked(`${path}.lock`, () => {
      try {
        if (!isOwnName(this.#options.path)) assertOwn(path);
        removeIfPresent(tempPath(path));
        // Where a link leads to it: without its target, the link would be an error from now on.
        if (path !== this.#options.path) writeFileAtomic(path, serializeDocument(emptyDocument()));
        else removeIfPresent(path);
      } catch (error) {
        throw fileError("delete", path, error);
      }
    });
  }

  /** Runs `fn` under the lock of one key, which is not the lock that a write takes. */
  async withKeyLock<T>(
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

  #locked<T>(
    path: string,
    fn: () => T | Promise<T>,
    options: Omit<FileLockOptions<T>, "timeoutMs"> = {},
  ): Promise<T> {
    return withFileLock(path, fn, { timeoutMs: this.#options.lockTimeoutMs, ...options });
  }

  /** Makes the folder, and gives the path of the file itself where the given one is a link. */
  #prepare(): string {
    const { path } = this.#options;
    try {
      this.#prepareFolder(folderOf(path));
      return resolveLink(path);
    } catch (error) {
      throw fileError("write", path, error);
    }
  }

  /** The module's own folder is closed to others; a folder of the caller's choice is left alone. */
  #prepareFolder(folder: string): void {
    const mode = modeOf(folder);
    if (mode === undefined) return Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (!isOpen(mode) || !/[/\\]\.validmind$/.test(folder)) return;
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
      // What was to be warned of is done; a closed standard error must not make it a failure.
    }
  }
}

/** The permission bits of what is there, if anything is. */
function modeOf(path: string): number | undefined {
  try {
    return (Deno.statSync(path).mode ?? 0) & 0o777;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Whether others than the owner may open what has this mode. Windows has no such bits. */
function isOpen(mode: number): boolean {
  return Deno.build.os !== "windows" && (mode & 0o077) !== 0;
}

/** Whether the name itself says what the file is. */
function isOwnName(path: string): boolean {
  return /(^|[/\\])credentials\.json$/.test(path);
}

/** Refuses to delete a file that a wrong path names and that is none of ours. */
function assertOwn(path: string): void {
  try {
    if (looksLikeCredentials(Deno.readTextFileSync(path))) return;
  } catch (error) {
    if (!(error instanceof TypeError)) return; // absent, or closed even to its owner
    // It is longer than a string can be, as no credentials file is.
  }
  throw new CredentialsBackendError(
    "backend_corrupt",
    `Cannot delete ${path}: it does not look like a credentials file. Check the path; if it is the ` +
      `right one, delete the file yourself.`,
  );
}

function readForUpdate(path: string): CredentialsDocument {
  try {
    return readDocument(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return emptyDocument();
    throw error;
  }
}

/** The file that a link leads to; the path itself when it is no link, or nothing is there yet. */
function resolveLink(path: string): string {
  try {
    return Deno.lstatSync(path).isSymlink ? Deno.realPathSync(path) : path;
  } catch (error) {
    if (isMissing(path, error)) return path;
    throw error;
  }
}

/**
 * Replaces a file so that every reader, and every restart after a crash, sees the old content or
 * the new one whole. The file is 0600 from its creation.
 *
 * The temp file has one fixed name, so that a grant can name it and a crash leaves at most one,
 * which the next write takes away. The caller holds the file's lock.
 */
export function writeFileAtomic(path: string, text: string): void {
  const temp = tempPath(path);
  try {
    writeSynced(temp, text);
    renameOver(temp, path);
  } catch (error) {
    removeIfPresent(temp);
    throw error;
  }
  syncDirectory(folderOf(path));
}

/** Where the next content of `path` is written first. */
export function tempPath(path: string): string {
  return `${path}.tmp`;
}

function writeSynced(path: string, text: string): void {
  const file = createAnew(path);
  try {
    const bytes = new TextEncoder().encode(text);
    for (let written = 0; written < bytes.length;) {
      written += file.writeSync(bytes.subarray(written));
    }
    file.syncSync();
  } finally {
    file.close(); // as by `using`, which costs a write some microseconds more
  }
}

/** Takes away what a crash left in the file's place, or a link that somebody put there. */
function createAnew(path: string): Deno.FsFile {
  const create = () => Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
  try {
    return create();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    Deno.removeSync(path);
    return create();
  }
}

/**
 * Renames over a file. Windows refuses that for as long as another program, such as a virus scanner,
 * has the file open, so it is tried again for about a second there.
 */
export function renameOver(
  from: string,
  to: string,
  { rename = Deno.renameSync, isWindows = Deno.build.os === "windows" } = {},
): void {
  for (let tries = 1;; tries++) {
    try {
      return rename(from, to);
    } catch (error) {
      const isHeld = error instanceof Deno.errors.PermissionDenied ||
        error instanceof Deno.errors.Busy;
      if (!isWindows || !isHeld || tries === 40) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 25);
    }
  }
}

/**
 * Makes the rename itself survive a power cut, where the file system can. Some cannot, and the file
 * is in its place all the same. Windows has no such call.
 */
function syncDirectory(path: string): void {
  if (Deno.build.os === "windows") return;
  try {
    const directory = Deno.openSync(path, { read: true });
    try {
      directory.syncSync();
    } finally {
      directory.close();
    }
  } catch {
    // An error here would tell of a write that has succeeded as of one that failed.
  }
}

/** Removes a file. An absent one is not an error. */
export function removeIfPresent(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
