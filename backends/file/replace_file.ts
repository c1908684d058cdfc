import { existsSync } from "@std/fs/exists";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { folderOf, nameOf } from "../credentials_path.ts";
import { isGranted, isOwn, lstatIfPresent, openToRead } from "./file_access.ts";
import { isStillAt } from "./lock.ts";

const isWindows = Deno.build.os === "windows";

/** Options of {@linkcode replaceFile}. */
export interface ReplaceOptions {
  /** Takes the place of the temp file. */
  reserved?: ReservedFile | undefined;
  /** Called right before the rename. With `false`, the file stays as it is. */
  isUnchanged?: () => boolean;
}

/**
 * Replaces a file so that every reader, and every restart after a crash, sees the whole old content
 * or the whole new one. The file is 0600 from its creation.
 *
 * The temp file has one fixed name: a permission can name it, and a crash leaves at most one, which
 * the next write removes. The caller holds the file's lock.
 *
 * @returns Whether the file was replaced.
 */
export function replaceFile(
  path: string,
  text: string,
  { reserved, isUnchanged = () => true }: ReplaceOptions = {},
): boolean {
  const { temp, file } = openTemp(path, reserved);
  try {
    try {
      writeAll(file, new TextEncoder().encode(text));
      if (reserved) file.truncateSync(file.seekSync(0, Deno.SeekMode.Current));
      file.syncSync();
    } finally {
      file.close(); // `using` would cost a write some microseconds more
    }
    if (!isUnchanged()) {
      Deno.removeSync(temp);
      return false;
    }
    renameOver(temp, path);
  } catch (error) {
    removeIfPresent(temp);
    throw error;
  }
  syncFolder(folderOf(path));
  return true;
}

interface Temp {
  temp: string;
  file: Deno.FsFile;
}

function openTemp(path: string, reserved: ReservedFile | undefined): Temp {
  const taken = reserved?.take();
  if (taken !== undefined) return { temp: reserved!.path, file: taken };
  const temp = tempPath(path);
  try {
    return { temp, file: createNew(temp) };
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable || lstatIfPresent(temp) === undefined) throw error;
    // A neighbour has planted a thing that cannot be removed, such as a folder with a file in it.
    const other = tempPath(`${path}.${crypto.randomUUID().slice(0, 8)}`);
    return { temp: other, file: createNew(other) };
  }
}

/**
 * The temp files beside `path` that a killed write left, with tokens in them: regular files of this
 * user. Empty where Deno does not permit a look at the folder.
 */
export function leftTemps(path: string): string[] {
  const folder = folderOf(path);
  if (!isGranted({ name: "read", path: folder })) return [];
  const name = nameOf(path);
  const isTemp = (found: string) =>
    found.startsWith(name) && /^(\.[0-9a-f]{8})?\.tmp$/.test(found.slice(name.length));
  try {
    const temps = Array.from(Deno.readDirSync(folder), (found) => found.name).filter(isTemp);
    return temps.map((temp) => `${folder}/${temp}`).filter(isOwnFile);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Whether a regular file of this user is at `path`. */
function isOwnFile(path: string): boolean {
  const found = lstatIfPresent(path);
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

/** The file that first receives the next content of `path`. */
export function tempPath(path: string): string {
  return `${path}.tmp`;
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) {
    written += file.writeSync(bytes.subarray(written));
  }
}

/** A file of zeros on the disk that keeps the space of a coming content. */
export class ReservedFile {
  readonly path: string;
  #file: Deno.FsFile | undefined;

  /** Writes the file in the place of one that a crash left. */
  constructor(path: string, bytes: number) {
    this.path = path;
    const file = createNew(path);
    this.#file = file;
    try {
      writeAll(file, new Uint8Array(bytes));
      file.syncSync();
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /**
   * Gives away the file, open at its start. `undefined` where it was given away before, or where
   * another file has taken its path.
   */
  take(): Deno.FsFile | undefined {
    const file = this.#file;
    if (file === undefined) return undefined;
    this.#file = undefined;
    if (isStillAt(file, this.path)) {
      file.seekSync(0, Deno.SeekMode.Start);
      return file;
    }
    file.close();
    return undefined;
  }

  /** Removes the file, unless it was given away. */
  release(): void {
    const file = this.take();
    if (file === undefined) return;
    file.close();
    removeIfPresent(this.path);
  }
}

/** Creates a file in the place of one that a crash left, or of a link that somebody planted. */
function createNew(path: string): Deno.FsFile {
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
 * Renames over a file. Windows refuses this while another program, such as a virus scanner, has the
 * file open. There it is tried again for about a second.
 */
export function renameOver(
  from: string,
  to: string,
  { rename = Deno.renameSync, onWindows = isWindows } = {},
): void {
  for (let tries = 1;; tries++) {
    try {
      return rename(from, to);
    } catch (error) {
      const isHeld = error instanceof Deno.errors.PermissionDenied ||
        error instanceof Deno.errors.Busy;
      if (!onWindows || !isHeld || tries === 40) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 25);
    }
  }
}

/**
 * Makes a rename in the folder survive a power cut, where the file system can. Windows has no such
 * call. A failure is ignored: the rename has succeeded, and an error would report the opposite.
 */
export function syncFolder(path: string): void {
  if (isWindows) return;
  try {
    const folder = Deno.openSync(path, { read: true });
    try {
      folder.syncSync();
    } finally {
      folder.close();
    }
  } catch {
    // See above.
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

/**
 * Makes a folder, and the missing ones above it, closed to others from their creation on.
 *
 * A new folder survives a power cut once the folder above it is synced, and syncing takes read of it.
 * No backend declares that permission, so folders that Deno may not read are left to the file system.
 */
export function makeFolder(path: string, { sync = syncFolder } = {}): void {
  const parents = readableParents(path);
  Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  for (const parent of parents) sync(parent);
}

/** The folders that will have new names in them, as far as Deno may read them without a question. */
function readableParents(path: string): string[] {
  const parents: string[] = [];
  for (let folder = path;;) {
    const parent = folderOf(folder);
    if (parent === folder || !isGranted({ name: "read", path: parent })) return parents;
    parents.push(parent);
    if (existsSync(parent)) return parents;
    folder = parent;
  }
}
