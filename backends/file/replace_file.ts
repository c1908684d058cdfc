import { HOME_VARIABLE } from "../common/environment.ts";
import { isOpen, isStillAt, lookIfPresent } from "../common/judge_path.ts";
import { basename, dirname } from "../common/paths.ts";
import { whileHeld } from "../common/read_private_file.ts";
import { isWindows } from "../common/runtime.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { fileError, IN_CONTAINER } from "./faults.ts";

/** Options of {@linkcode replaceFile}. */
export interface ReplaceOptions {
  /** Takes the place of the temp file. */
  proof?: WriteProof;
  /** Whether the caller holds the file's lock. @default {true} */
  isLocked?: boolean;
  /** Called right before the rename. With `false`, the file stays as it is. */
  isUnchanged?: () => boolean;
}

interface Temp {
  readonly path: string;
  readonly file: Deno.FsFile;
}

/**
 * Replaces a file so that every reader, and every restart after a crash, sees the whole old content
 * or the whole new one. The file is 0600 from its creation, and the new content survives a power cut.
 *
 * Under the file's lock the temp file has one fixed name: a permission can name it, and a crash leaves
 * at most one, which the next write removes. Without the lock each write has a temp file of its own.
 *
 * @returns Whether the file was replaced.
 */
export function replaceFile(
  path: string,
  text: string,
  { proof, isLocked = true, isUnchanged = () => true }: ReplaceOptions = {},
): boolean {
  const temp = proof?.take() ?? createNew(`${path}.tmp`, isLocked);
  let isReplaced = false;
  try {
    writeBytes(temp.file, new TextEncoder().encode(text));
    temp.file.truncateSync(temp.file.seekSync(0, Deno.SeekMode.Current));
    temp.file.syncSync();
    if (isUnchanged()) {
      whileHeld(() => Deno.renameSync(temp.path, path));
      isReplaced = true;
    }
  } finally {
    temp.file.close();
    if (!isReplaced) removeIfPresent(temp.path);
  }
  if (isReplaced) syncFolder(dirname(path));
  return isReplaced;
}

/**
 * A temp file of zeros, as long as a coming text. It shows that a write is possible, and then serves the
 * write: neither a full disk nor a file system that turns read-only comes in between.
 */
export interface WriteProof {
  /** The file, at its start, for one write. `undefined` after that, or where somebody has removed it. */
  take(): Temp | undefined;
  /** Removes a file that no write has used. */
  end(): void;
}

/**
 * Refuses a file that is mounted by itself, as into a container: no other one can take its place, and no
 * link to it leads out of its mount.
 */
export function assertReplaceable(path: string, temp: string): void {
  try {
    removeIfPresent(temp);
    Deno.linkSync(path, temp);
    removeIfPresent(temp);
  } catch (error) {
    if ((error as { code?: string }).code === "EXDEV") throw error;
    // There is no file, or the file system has no links.
  }
}

/** Writes a proof in the place of one that a crash left. The caller alone uses the path. */
export async function proveWrite(path: string, bytes: number): Promise<WriteProof> {
  let temp: Temp | undefined = createNew(path);
  const end = () => {
    if (!temp) return;
    const isOwn = isStillThere(temp);
    temp.file.close();
    if (isOwn) removeIfPresent(temp.path);
    temp = undefined;
  };
  const take = () => {
    if (!temp || !isStillThere(temp)) return undefined;
    const taken = temp;
    temp = undefined;
    taken.file.seekSync(0, Deno.SeekMode.Start);
    return taken;
  };
  try {
    writeBytes(temp.file, new Uint8Array(bytes));
    await temp.file.sync(); // a file system may take a write before it has found a place for it
    return { take, end };
  } catch (error) {
    end();
    throw error;
  }
}

function isStillThere({ path, file }: Temp) {
  return isStillAt(path, file.statSync());
}

function writeBytes(file: Deno.FsFile, bytes: Uint8Array) {
  for (let written = 0; written < bytes.length;) {
    written += file.writeSync(bytes.subarray(written));
  }
}

/**
 * Creates a file in the place of one that a crash left, or of a link that somebody planted. Where
 * something cannot be removed, such as a neighbour's folder, it has a name of its own.
 */
function createNew(usual: string, isUsual = true): Temp {
  let path = usual;
  if (!isUsual || !isRemoved(usual)) {
    path = usual.replace(/tmp$/, `${crypto.randomUUID().slice(0, 8)}.tmp`);
  }
  return { path, file: Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }) };
}

function isRemoved(path: string) {
  try {
    removeIfPresent(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return lookIfPresent(path) === undefined;
  }
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
 * Makes the folder of a file where it is missing, and the missing ones above it, closed to others from their
 * creation. A power cut soon after may take a new folder away: to sync the one above takes read of it, which
 * no backend asks for.
 */
export function makeFolder(file: string): void {
  const path = dirname(file);
  try {
    if (lookIfPresent(path, Deno.statSync)) return;
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const { PermissionDenied } = Deno.errors;
    if (!(error instanceof PermissionDenied)) throw fileError("make the folder of", file, error);
    throw new CredentialsBackendError("backend_denied", {
      action: `make the folder ${path}`,
      reason: "the operating system denies it",
      remedy: `Set ${HOME_VARIABLE} to a folder that you may write, or give such a path: in ` +
        `the options of the store, or for settings as --config. ${IN_CONTAINER}`,
      cause: error,
    });
  }
}

/** Whether a folder is the module's own, by its name. */
export function isOwnFolder(folder: string): boolean {
  return basename(folder) === ".validmind";
}

/** Closes the module's own folder to others. A folder of the caller's choice keeps its mode. */
export function closeFolder(folder: string): void {
  if (!isOwnFolder(folder)) return;
  try {
    const info = Deno.lstatSync(folder);
    if (!info.isDirectory || !isOpen(info)) return; // the target of a link is of the caller's choice
    Deno.chmodSync(folder, 0o700);
  } catch {
    // Of another owner, or without modes. The file in it is closed to others all the same.
  }
}
