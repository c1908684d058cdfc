// deno-lint-ignore-file no-console
/**
 * Tells what a run of `deno task test:servers --coverage --reports=coverage/junit` came to.
 *
 * `ci_report.ts coverage` prints the line coverage of the published code, and fails where it is
 * too low. `ci_report.ts counts` prints the line that CI reads.
 */
import { walk } from "@std/fs/walk";
import { fromFileUrl } from "@std/path/from-file-url";
import {
  countJunit,
  type Counts,
  type LineCoverage,
  lineCoverage,
  percent,
  sumCounts,
} from "./reports.ts";
import { runDenoTool } from "./deno_process.ts";

const ROOT = new URL("../../", import.meta.url);
const LEAST_PERCENT = 90;
const FOLDERS = ["backends", "client"];

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

async function lcov(): Promise<string> {
  await removeTruncated("coverage/data");
  const include = FOLDERS.map((folder) => `--include=^${new URL(`${folder}/`, ROOT).href}`);
  const args = ["coverage", "coverage/data", "--lcov", ...include];
  const { code, stdout, stderr } = await runDenoTool(args, { cwd: ROOT, timeoutMs: 600_000 });
  if (code !== 0) throw new Error(`Cannot read coverage/data: \`deno coverage\` failed: ${stderr}`);
  return stdout;
}

/** What no test loads is missing from the report: it counts as not covered, unless it is types only. */
async function unloaded(
  folder: string,
  known: ReadonlySet<string>,
): Promise<Map<string, LineCoverage>> {
  const files = new Map<string, LineCoverage>();
  for await (const { path } of walk(new URL(`${folder}/`, ROOT), { exts: [".ts"] })) {
    const code = await Deno.readTextFile(path);
    if (
      known.has(relative(path)) ||
      !/^(?:export )?(?:async )?(?:class|const|function|let) /m.test(code)
    ) continue;
    files.set(relative(path), { found: code.split("\n").length, hit: 0 });
  }
  return files;
}

/** The path below the repository's root, of a path or a URL. */
function relative(file: string): string {
  const path = file.startsWith("file:") ? fromFileUrl(file) : file;
  return toPosix(path).slice(toPosix(fromFileUrl(ROOT)).length);
}

function toPosix(path: string): string {
  return path.replaceAll("\\", "/");
}

function row(label: string, coverage: LineCoverage): string {
  return `${
    percent(coverage).toFixed(1).padStart(5)
  } %  ${coverage.hit}/${coverage.found}  ${label}`;
}

async function reportCoverage(): Promise<void> {
  const loaded = [...lineCoverage(await lcov())].map(([file, lines]) =>
    [relative(file), lines] as const
  );
  for (const folder of FOLDERS) {
    const files = new Map(loaded.filter(([file]) => file.startsWith(`${folder}/`)));
    for (const [file, lines] of await unloaded(folder, new Set(files.keys()))) {
      files.set(file, lines);
    }
    for (const [file, lines] of [...files].sort()) console.log(row(file, lines));
    const total = sumLines(files.values());
    console.log(row(`${folder}/ in all`, total));
    if (files.size > 0 && percent(total) >= LEAST_PERCENT) continue;
    console.error(`Line coverage of ${folder}/ is below ${LEAST_PERCENT} %.`);
    Deno.exitCode = 1;
  }
}

function sumLines(lines: Iterable<LineCoverage>): LineCoverage {
  const sum = { found: 0, hit: 0 };
  for (const { found, hit } of lines) {
    sum.found += found;
    sum.hit += hit;
  }
  return sum;
}

/** A report that is missing was not written because the run broke off. */
async function readCounts(name: string): Promise<Counts> {
  try {
    return countJunit(await Deno.readTextFile(new URL(`coverage/junit/${name}.xml`, ROOT)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { passed: 0, failed: 1, ignored: 0 };
    throw error;
  }
}

async function reportCounts(): Promise<void> {
  const { passed, failed, ignored } = sumCounts(
    await Promise.all(["tests", "alone", "docs"].map(readCounts)),
  );
  console.log(`${passed} passed, ${failed} failed, ${ignored} skipped`);
}

if (import.meta.main) {
  const [what] = Deno.args;
  if (what === "coverage") await reportCoverage();
  else if (what === "counts") await reportCounts();
  else throw new Error("Cannot report: say `coverage` or `counts`.");
}
