// deno-lint-ignore-file no-console
/**
 * Tells the line coverage of the published code after `deno task test:servers --coverage`, and fails where
 * it is too low: `deno task coverage`.
 */
import { walk } from "@std/fs/walk";
import { fromFileUrl } from "@std/path/from-file-url";
import { mustRun } from "./deno_process.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
const LEAST_PERCENT = 90;

/** Lines that could run and lines that did, by the path of their file. */
const files = new Map<string, { found: number; hit: number }>();

/** A child that a test killed leaves a report that ends in the middle, or before its beginning. */
async function removeTruncated(folder: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    try {
      JSON.parse(await Deno.readTextFile(path));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      await Deno.remove(path);
    }
  }
}

async function readCoverage(): Promise<void> {
  const include = ["backends", "client"].map((folder) => `--include=^file://${ROOT}${folder}/`);
  const args = ["coverage", "coverage/data", "--lcov", ...include];
  const lcov = await mustRun([Deno.execPath(), ...args], { cwd: ROOT, timeoutMs: 600_000 });
  for (const record of lcov.split("end_of_record")) {
    const file = /^SF:(.*)$/m.exec(record)?.[1];
    if (file === undefined) continue;
    const hits = [...record.matchAll(/^DA:\d+,(\d+)/gm)].map((match) => Number(match[1]));
    const hit = hits.filter((count) => count > 0).length;
    files.set(file.slice(ROOT.length), { found: hits.length, hit });
  }
}

/** What no test loads is missing from the report: it counts as not covered, unless it is types only. */
async function addUnloaded(folder: string): Promise<void> {
  for await (const { path } of walk(`${ROOT}${folder}`, { exts: [".ts"] })) {
    const code = await Deno.readTextFile(path);
    const hasCode = /^(?:export )?(?:async )?(?:class|const|function|let) /m.test(code);
    const file = path.slice(ROOT.length);
    if (hasCode && !files.has(file)) files.set(file, { found: code.split("\n").length, hit: 0 });
  }
}

function tell(label: string, { found, hit }: { found: number; hit: number }): number {
  const percent = found === 0 ? 100 : (100 * hit) / found;
  console.log(`${percent.toFixed(1).padStart(5)} %  ${hit}/${found}  ${label}`);
  return percent;
}

await removeTruncated(`${ROOT}coverage/data`);
await readCoverage();
for (const folder of ["backends", "client"]) {
  await addUnloaded(folder);
  const total = { found: 0, hit: 0 };
  for (const [file, lines] of [...files].sort()) {
    if (!file.startsWith(`${folder}/`)) continue;
    tell(file, lines);
    total.found += lines.found;
    total.hit += lines.hit;
  }
  if (tell(`${folder}/ in all`, total) >= LEAST_PERCENT && total.found > 0) continue;
  console.error(`Line coverage of ${folder}/ is below ${LEAST_PERCENT} %.`);
  Deno.exitCode = 1;
}
