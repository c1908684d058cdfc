import { folderOf, isGranted, isWindows } from "../common/platform.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { looksLikeCredentials } from "./edit_document.ts";
import {
  assertOwnLink,
  fileError,
  isBusy,
  lookIfPresent,
  readOwnFile,
  whileHeld,
} from "./file_access.ts";

/** A temp file that was made beforehand. */
export interface TempFile {
  readonly path: string;
  /** The file, open at its start. `undefined` where it cannot be used any more. */
  open(): Deno.FsFile | undefined;
  /** Ends the use of the file, which is renamed by then. */
  close(): void;
}

/** Options of {@linkcode replaceFile}. */
export interface ReplaceOptions {
  /** Takes the place of the temp file. Where the file is not replaced, it stays reserved. */
  reserved?: TempFile | undefined;
  /** Whether the caller holds the file's lock. @default {true} */
  isLocked?: boolean;
  /** Whether the new content has to survive a power cut, rather than either of the two. @default {true} */
  isLasting?: boolean;
  /** Called right before the rename. With `false`, the file stays as it is. */
  isUnchanged?: () => boolean;
}

/**
 * Replaces a file so that every reader, and every restart after a crash, sees the whole old content
 * or the whole new one. The file is 0600 from its creation.
 *
 * Under the file's lock the temp file has one fixed name: a permission can name it, and a crash leaves
 * at most one, which the next write removes. Without the lock each write has a temp file of its own.
 *
 * @returns Whether the file was replaced.
 */
export function replaceFile(
  path: string,
  text: string,
  { reserved, isLocked = true, isLasting = true, isUnchanged = () => true }: ReplaceOptions = {},
): boolean {
  const { temp, file, isReserved } = openTemp(path, reserved, isLocked);
  let isReplaced = false;
  try {
    writeAll(file, new TextEncoder().encode(text));
    if (isReserved) file.truncateSync(file.seekSync(0, Deno.SeekMode.Current));
    file.syncSync();
    if (isUnchanged()) {
      renameOver(temp, path);
      isReplaced = true;
    }
  } finally {
    if (isReserved && isReplaced) reserved!.close();
    if (!isReserved) {
      file.close(); // `using` would cost a write some microseconds more
      if (!isReplaced) removeIfPresent(temp);
    }
  }
  if (isReplaced && isLasting) syncFolder(folderOf(path));
  return isReplaced;
}

interface Temp {
  temp: string;
  file: Deno.FsFile;
  isReserved: boolean;
}

function openTemp(path: string, reserved: TempFile | undefined, isLocked: boolean): Temp {
  const kept = reserved?.open();
  if (kept !== undefined) return { temp: reserved!.path, file: kept, isReserved: true };
  const temp = tempPath(path);
  const file = isLocked ? tryCreate(temp) : undefined;
  if (file !== undefined) return { temp, file, isReserved: false };
  const other = tempPath(`${path}.${crypto.randomUUID().slice(0, 8)}`);
  return {
    temp: other,
    file: Deno.openSync(other, { write: true, createNew: true, mode: 0o600 }),
    isReserved: false,
  };
}

/** `undefined` where a neighbour has planted a thing that cannot be removed, such as a full folder. */
function tryCreate(path: string): Deno.FsFile | undefined {
  try {
    return createNew(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable || lookIfPresent(path) === undefined) throw error;
    return undefined;
  }
}

/** The file that first receives the next content of `path`. */
export function tempPath(path: string): string {
  return `${path}.tmp`;
}

/** Writes all bytes at the position of a file. */
export function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) {
    written += file.writeSync(bytes.subarray(written));
  }
}

/** Creates a file in the place of one that a crash left, or of a link that somebody planted. */
export function createNew(path: string): Deno.FsFile {
  const create = () => Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
  try {
    return create();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    removeIfPresent(path);
    return create();
  }
}

/**
 * Renames over a file. Windows refuses this, too, while another program has the file open, and has two
 * codes for it.
 */
export function renameOver(
  from: string,
  to: string,
  { rename = Deno.renameSync, onWindows = isWindows } = {},
): void {
  const isHeld = (error: unknown) => isBusy(error) || error instanceof Deno.errors.PermissionDenied;
  whileHeld(() => rename(from, to), { isHeld, onWindows });
}

/**
 * Makes a rename in the folder survive a power cut, where the file system can. Windows has no such
 * call. A failure is ignored: the rename has succeeded, and an error would report the opposite.
 */
export function syncFolder(path: string): void {
  if (isWindows) return;
  try {
    const folder = Deno.openSync(`${path}/.`); // a named pipe in its place has no such name
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
    whileHeld(() => Deno.removeSync(path));
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
    let isThere: boolean;
    try {
      isThere = lookIfPresent(parent) !== undefined;
    } catch {
      return parents; // a permission broker denies what Deno calls granted
    }
    parents.push(parent);
    if (isThere) return parents;
    folder = parent;
  }
}

/** A path that is no link, and what was found at it, if that was looked at. */
export interface ResolvedPath {
  path: string;
  found?: Deno.FileInfo | undefined;
}

/** The target of a link; the path itself where it is no link, or nothing is there yet. */
export function resolveLink(path: string): ResolvedPath {
  const link = lookIfPresent(path);
  if (!link?.isSymlink) return { path, found: link };
  const target = Deno.realPathSync(path);
  try {
    assertOwnLink("write", path, link, Deno.lstatSync(target));
  } catch (error) {
    throw fileError("write", target, error); // a missing permission is the one for the target
  }
  return { path: target };
}

/** Whether the path alone marks a credentials file: the place of the default one. */
function isOwnPlace(path: string): boolean {
  return /(^|[/\\])\.validmind[/\\]credentials\.json$/.test(path);
}

/** Refuses to delete a file of another user or, where a wrong path may name it, of another program. */
export function assertDeletable(path: string, given: string): void {
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
