import { dirname } from "../common/path.ts";

const isWindows = Deno.build.os === "windows";

/**
 * Replaces a file so that every reader, and every restart after a crash, sees the whole old content
 * or the whole new one. The file is 0600 from its creation.
 *
 * The temp file has one fixed name: a permission can name it, and a crash leaves at most one, which
 * the next write removes. The caller holds the file's lock.
 */
export function replaceFile(path: string, text: string): void {
  const temp = tempPath(path);
  try {
    writeSynced(temp, text);
    renameOver(temp, path);
  } catch (error) {
    removeIfPresent(temp);
    throw error;
  }
  syncFolder(dirname(path));
}

/** The file that first receives the next content of `path`. */
export function tempPath(path: string): string {
  return `${path}.tmp`;
}

function writeSynced(path: string, text: string): void {
  const file = createNew(path);
  try {
    const bytes = new TextEncoder().encode(text);
    for (let written = 0; written < bytes.length;) {
      written += file.writeSync(bytes.subarray(written));
    }
    file.syncSync();
  } finally {
    file.close(); // `using` would cost a write some microseconds more
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
function syncFolder(path: string): void {
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
