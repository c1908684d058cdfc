import { dirname as dirnamePosix } from "@std/path/posix/dirname";
import { dirname as dirnameWindows } from "@std/path/windows/dirname";

/**
 * Replaces a file so that every reader, and every restart after a crash, sees the old content or
 * the new one whole. The file is 0600 from its creation.
 *
 * The temp file has one fixed name, so that a grant can name it and a crash leaves at most one,
 * which the next write takes away. The caller holds the file's lock.
 */
export function writeFileAtomic(path: string, text: string): void {
  const temp = `${path}.tmp`;
  removeIfPresent(temp);
  try {
    writeSynced(temp, text);
    Deno.renameSync(temp, path);
  } catch (error) {
    removeIfPresent(temp);
    throw error;
  }
  syncDirectory(folderOf(path));
}

/** The folder that holds `path`. */
export function folderOf(path: string): string {
  return (Deno.build.os === "windows" ? dirnameWindows : dirnamePosix)(path);
}

function writeSynced(path: string, text: string): void {
  // createNew refuses a link that somebody put in the temp file's place.
  using file = Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
  const bytes = new TextEncoder().encode(text);
  for (let written = 0; written < bytes.length;) {
    written += file.writeSync(bytes.subarray(written));
  }
  file.syncSync();
}

/** Makes the rename itself survive a power cut. Windows has no such call, and needs none. */
function syncDirectory(path: string): void {
  if (Deno.build.os === "windows") return;
  using directory = Deno.openSync(path, { read: true });
  directory.syncSync();
}

function removeIfPresent(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
