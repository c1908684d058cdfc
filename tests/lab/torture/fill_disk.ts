import { equal } from "@std/assert/equal";
import { CredentialsBackendError, FileCredentialsBackend } from "@validmind/auth";
import { numberedEntry } from "./entries.ts";
import { fillUpTo, removeFiller } from "./filler.ts";
import { mountTmpfs } from "./mount.ts";
import { Random } from "./random.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

/**
 * Fills a small file system to a random level and writes: the write succeeds, or is refused with
 * `backend_full` and what was stored stays as it is.
 */
export async function fillDisk({ count, seed, folder }: TortureOptions): Promise<TortureResult> {
  await using mount = await mountTmpfs(folder, { kib: 128 });
  if (mount !== undefined) return await fill(new Random(seed), count, folder);
  return {
    name: "a full disk",
    figures: { "left out": "no tmpfs can be mounted here" },
    failures: [],
  };
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
    removeFiller(folder);
  }
  return { name: `${count} writes to a disk filled to a random level`, figures, failures };
}

async function codeOf(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
    return "stored";
  } catch (error) {
    return error instanceof CredentialsBackendError ? error.code : `not coded: ${error}`;
  }
}
