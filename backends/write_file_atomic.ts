import { folderOf } from "./credentials_path.ts";

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
  using file = createAnew(path);
  const bytes = new TextEncoder().encode(text);
  for (let written = 0; written < bytes.length;) {
    written += file.writeSync(bytes.subarray(written));
  }
  file.syncSync();
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
    using directory = Deno.openSync(path, { read: true });
    directory.syncSync();
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
