import { walk } from "@std/fs/walk";
import { relative } from "@std/path";

/** Folders that no test reads: what Git keeps, and what tools write. */
const LEFT_OUT = /(?:^|\/)(?:\.git|node_modules|coverage|dist)(?:\/|$)/;

/**
 * Makes a folder equal to the repository, with its `vendor/`. Only files that have changed are
 * written, and files that are gone are removed.
 */
export async function copyRepository(from: string, to: string): Promise<void> {
  const [wanted, there] = [await filesIn(from), await filesIn(to)];
  for (const [path, source] of wanted) {
    const copy = there.get(path);
    if (copy !== undefined && copy.size === source.size && copy.time >= source.time) continue;
    await Deno.mkdir(`${to}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.copyFile(`${from}/${path}`, `${to}/${path}`);
  }
  for (const path of there.keys()) if (!wanted.has(path)) await Deno.remove(`${to}/${path}`);
}

/** Size and time of each file, by its path below the folder. */
async function filesIn(folder: string): Promise<Map<string, { size: number; time: number }>> {
  await Deno.mkdir(folder, { recursive: true });
  const files = new Map<string, { size: number; time: number }>();
  for await (const { path } of walk(folder, { includeDirs: false, includeSymlinks: false })) {
    const name = relative(folder, path);
    if (LEFT_OUT.test(name)) continue;
    const { size, mtime } = await Deno.stat(path);
    files.set(name, { size, time: mtime?.getTime() ?? 0 });
  }
  return files;
}
