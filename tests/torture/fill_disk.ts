import { equal } from "@std/assert/equal";
import { CredentialsBackendError, FileCredentialsBackend } from "@validmind/auth";
import { numberedEntry } from "./entries.ts";
import { Random } from "./random.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

/**
 * Fills a small file system to a random level and writes: the write succeeds, or is refused with
 * `backend_full` and what was stored stays as it is.
 */
export async function fillDisk({ count, seed, folder }: TortureOptions): Promise<TortureResult> {
  const unmount = await mountTmpfs(folder);
  if (unmount === undefined) {
    return {
      name: "a full disk",
      figures: { "left out": "no tmpfs can be mounted here" },
      failures: [],
    };
  }
  try {
    return await fill(new Random(seed), count, folder);
  } finally {
    await unmount();
  }
}

async function fill(random: Random, count: number, folder: string): Promise<TortureResult> {
  const backend = new FileCredentialsBackend({ path: `${folder}/store/credentials.json` });
  await backend.put("first", numberedEntry(0));
  const figures = { "stored": 0, "backend_full": 0, "damaged": 0 };
  const failures: string[] = [];
  for (let n = 1; n <= count; n++) {
    fillUpTo(folder, random.int(0, 24_000));
    const before = Deno.readFileSync(backend.path);
    const code = await codeOf(() => backend.put(`key${n % 3}`, numberedEntry(n)));
    const isKept = code === "stored"
      ? backend.get(`key${n % 3}`)?.n === n
      : equal(before, Deno.readFileSync(backend.path));
    if (code === "stored" || code === "backend_full") figures[code]++;
    else failures.push(`write ${n}: ${code}`);
    if (!isKept) {
      figures.damaged++;
      failures.push(`write ${n}: ${code}, and the file is damaged`);
    }
    Deno.removeSync(`${folder}/filler`);
  }
  return { name: `${count} writes to a disk filled to a random level`, figures, failures };
}

/** Leaves about `free` bytes. */
function fillUpTo(folder: string, free: number): void {
  const path = `${folder}/filler`;
  using file = Deno.openSync(path, { write: true, create: true });
  const block = new Uint8Array(4096);
  try {
    while (file.writeSync(block) > 0);
  } catch {
    // full
  }
  file.truncateSync(Math.max(0, file.statSync().size - free));
}

async function codeOf(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
    return "stored";
  } catch (error) {
    return error instanceof CredentialsBackendError ? error.code : `not coded: ${error}`;
  }
}

/** Mounts a file system of 128 KiB, where this person may. */
async function mountTmpfs(folder: string): Promise<(() => Promise<unknown>) | undefined> {
  const run = async (command: string, ...args: string[]) => {
    try {
      return (await new Deno.Command(command, { args, stderr: "null" }).output()).success;
    } catch {
      return false;
    }
  };
  const isMounted = await run("mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", folder);
  return isMounted ? () => run("umount", folder) : undefined;
}
