const BLOCK = new Uint8Array(4096);

/** Fills the file system of a folder, and leaves about `free` bytes. */
export function fillUpTo(folder: string, free: number): void {
  const path = fillerOf(folder);
  using file = Deno.openSync(path, { write: true, create: true });
  try {
    while (file.writeSync(BLOCK) > 0);
  } catch {
    // full
  }
  if (free > 0) file.truncateSync(Math.max(0, file.statSync().size - free));
}

/** Makes empty files in a folder until its file system has no inode left. */
export function fillInodes(folder: string): void {
  const path = fillerOf(folder);
  Deno.mkdirSync(path);
  try {
    for (let n = 0;; n++) Deno.openSync(`${path}/${n}`, { write: true, create: true }).close();
  } catch {
    // full
  }
}

/** Removes what filled a folder's file system. */
export function removeFiller(folder: string): void {
  Deno.removeSync(fillerOf(folder), { recursive: true });
}

function fillerOf(folder: string): string {
  return `${folder}/filler`;
}
