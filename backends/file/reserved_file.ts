import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { delay } from "../common/promises.ts";
import { folderOf, isGranted, nameOf } from "../common/platform.ts";
import { parseUnfinished, type UnfinishedEntry } from "./edit_document.ts";
import { fileError, isOwn, lookIfPresent, openToRead, readOwnFile } from "./file_access.ts";
import { infoOf, isStillAt } from "./lock.ts";
import { createNew, removeIfPresent, type TempFile, writeAll } from "./replace_file.ts";

/** About how long a refresh takes, in milliseconds. */
const REFRESH_MS = 20;

/**
 * A file of zeros on the disk that keeps the space of a coming content. The kernel's lock on it tells
 * other processes that its owner lives.
 */
export class ReservedFile implements TempFile {
  readonly path: string;
  readonly #info: Deno.FileInfo;
  #file: Deno.FsFile | undefined;

  private constructor(path: string, file: Deno.FsFile) {
    this.path = path;
    this.#info = infoOf(file);
    this.#file = file;
  }

  /**
   * Writes the file in the place of one that a crash left. `undefined` where a living process, or another
   * use in this one, has reserved it.
   */
  static create(path: string, bytes: number): ReservedFile | undefined {
    if (isReserved(path)) return undefined;
    const file = createNew(path);
    const reserved = new ReservedFile(path, file);
    try {
      // Of two that were made at once, the first one may be removed by now.
      if (!tryLock(file) || !isStillAt(reserved.#info, path)) return reserved.close();
      writeAll(file, new Uint8Array(bytes));
      return reserved;
    } catch (error) {
      reserved.release();
      throw error;
    }
  }

  /**
   * Ensures that the file has its space: a file system may take a write before it has found a place for
   * it. Without a lock on anything, and beside other work.
   */
  async sync(): Promise<void> {
    try {
      await this.#file?.sync();
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /** The file, open at its start. `undefined` after its end, or where another file has its path. */
  open(): Deno.FsFile | undefined {
    const file = this.#file;
    if (file === undefined) return undefined;
    if (isStillAt(this.#info, this.path)) {
      file.seekSync(0, Deno.SeekMode.Start);
      return file;
    }
    this.close();
    return undefined;
  }

  /** Leaves a text in the file, for a later process. */
  leave(text: string): void {
    const file = this.open();
    if (file === undefined) return;
    try {
      writeAll(file, new TextEncoder().encode(text));
      file.truncateSync(file.seekSync(0, Deno.SeekMode.Current));
      file.syncSync();
    } finally {
      this.close();
    }
  }

  /** Gives the space back, while the reservation goes on. */
  free(): void {
    this.open()?.truncateSync(0);
  }

  /** Ends the reservation. The file stays. */
  close(): undefined {
    this.#file?.close();
    this.#file = undefined;
  }

  /** Ends the reservation, and removes the file. */
  release(): void {
    if (this.open() === undefined) return;
    try {
      removeIfPresent(this.path);
    } finally {
      this.close();
    }
  }
}

/** Whether a regular file of this user at `path` is locked. Another user may hold a planted one for ever. */
function isReserved(path: string): boolean {
  if (!isGranted({ name: "read", path }) || !lookIfPresent(path)?.isFile) return false;
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { read: true, write: true }); // a pipe would make a mere reader wait
  } catch {
    return false; // gone, or of another owner
  }
  try {
    return isOwn(path, file.statSync()) && !tryLock(file);
  } finally {
    file.close();
  }
}

/** A file system without locks has no file that counts as locked. */
function tryLock(file: Deno.FsFile): boolean {
  try {
    return file.tryLockSync(true);
  } catch {
    return true;
  }
}

/**
 * Repeats an attempt to reserve a file until no other living process has it. A key's lock does not keep
 * that process out where somebody has removed the lock file.
 *
 * @throws {CredentialsBackendError} `backend_locked` after the time limit.
 */
export async function untilReserved<T>(
  path: string,
  timeoutMs: number,
  attempt: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const made = await attempt();
    if (made !== undefined) return made;
    if (performance.now() >= deadline) break;
    await delay(REFRESH_MS * (1 + Math.random()));
  }
  throw new CredentialsBackendError(
    "backend_locked",
    `Cannot reserve ${path} within ${timeoutMs} ms: another process has reserved it, most likely ` +
      `another notebook or script that refreshes the same credentials. Wait for it or end it.`,
  );
}

/**
 * The temp files beside `path` that a killed or a failed write left, with tokens in them: regular files
 * of this user that no living process has reserved. Empty where Deno does not permit a look at the
 * folder.
 */
export function leftTemps(path: string): string[] {
  const folder = folderOf(path);
  if (!isGranted({ name: "read", path: folder })) return [];
  const name = nameOf(path);
  const isTemp = (found: string) =>
    found.startsWith(name) && /^(\.[0-9a-f]{8})?\.tmp$/.test(found.slice(name.length));
  try {
    const temps = Array.from(Deno.readDirSync(folder), (found) => found.name).filter(isTemp);
    return temps.map((temp) => `${folder}/${temp}`).filter((temp) =>
      isOwnFile(temp) && !isReserved(temp)
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/**
 * Removes what killed and failed writes have left.
 *
 * @param key Whose unfinished entry goes, too; all of them by default.
 */
export function removeTemps(path: string, key?: string): void {
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

/** The entry that an earlier process has left in a temp file, where it could not store it. */
export function readUnfinished(temp: string): UnfinishedEntry | undefined {
  if (!isOwnFile(temp)) return undefined;
  return parseUnfinished(new TextDecoder().decode(readOwnFile(temp).bytes));
}

/** Whether a regular file of this user is at `path`. */
function isOwnFile(path: string): boolean {
  const found = lookIfPresent(path);
  if (!found?.isFile) return false;
  try {
    const file = openToRead(path, found);
    try {
      return isOwn(path, file.statSync());
    } finally {
      file.close();
    }
  } catch (error) {
    const { NotFound, PermissionDenied } = Deno.errors;
    if (error instanceof NotFound || error instanceof PermissionDenied) return false;
    if (error instanceof CredentialsBackendError) return false;
    throw error;
  }
}
