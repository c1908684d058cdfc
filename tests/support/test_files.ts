// deno-lint-ignore-file no-console -- it tells how each file went
/** Runs each test file in a process of its own, in another environment than this. */
import { walk } from "@std/fs/walk";
import { fromFileUrl, relative } from "@std/path";
import { type ProcessOptions, spawnProcess } from "./deno_process.ts";
import { summarize } from "./summary.ts";
import type { Tally } from "./tally.ts";

/** The repository's folder. */
export const ROOT: string = fromFileUrl(new URL("../../", import.meta.url)).replace(/\/$/, "");

/** How much is shown of the words of a test that fails. */
const SHOWN = 1500;

/** Options of {@linkcode runTestFiles}. */
export interface TestFilesOptions {
  /** Runs one file. */
  run: (file: string) => Promise<Tally>;
  /** The cause of faults that are known, such as `Wine`. */
  cause: string;
  /** The file that lists them. */
  list: string;
}

const AT_ONCE = 2;
/** What Deno says now and then of a test that does not end. */
const STILL_RUNS = /^.*has been running for over.*$\n?/gm;

/** How a process ended. */
export interface Ended {
  success: boolean;
  isLate: boolean;
  /** The end of what it said. */
  said: string;
}

/** The reason of a bad end. */
export function reasonOf({ success, isLate, said }: Ended, limit: number): string | undefined {
  if (isLate) return `nothing was said for ${limit} s. ${said}`;
  return success ? undefined : said;
}

/**
 * Runs a command to its end, or until it has said nothing for the time limit. Its output goes to a file:
 * what a killed test leaves behind, and the services of Windows, would hold a pipe open.
 */
export async function runWatched(
  command: readonly string[],
  output: string,
  limitSeconds: number,
  options: ProcessOptions = {},
): Promise<Ended> {
  await Deno.writeTextFile(output, "");
  const silence = watchSilence(output, limitSeconds);
  const { success } = await spawnProcess(["sh", "-c", 'exec "$@" >"$0" 2>&1', output, ...command], {
    ...options,
    stdout: "null",
    stderr: "null",
    signal: silence.signal,
  }).status;
  silence.stop();
  const said = (await Deno.readTextFile(output)).slice(-SHOWN);
  return { success, isLate: silence.signal.aborted, said };
}

/** Aborts when nothing new was written to a file for the time limit. */
function watchSilence(path: string, limitSeconds: number) {
  const abort = new AbortController();
  let [size, since] = [0, performance.now()];
  const timer = setInterval(() => {
    const now = Deno.readTextFileSync(path).replace(STILL_RUNS, "").length;
    if (now !== size) [size, since] = [now, performance.now()];
    else if (performance.now() - since >= 1000 * limitSeconds) abort.abort();
  }, 1000);
  return { signal: abort.signal, stop: () => clearInterval(timer) };
}

/** The test files in the named folders, without those that need servers or take long, and all named files. */
export async function testFiles(named: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const path of named) {
    const whole = `${ROOT}/${relative(ROOT, path)}`;
    if ((await Deno.stat(whole)).isFile) files.push(whole);
    else {
      for await (const { path } of walk(whole, { match: [/_test\.ts$/] })) {
        const isLeftOut = !isLive(whole) && isLive(path) || path.endsWith("_slow_test.ts");
        if (!isLeftOut) files.push(path);
      }
    }
  }
  return [...new Set(files.map((file) => relative(ROOT, file)))].sort();
}

/** Whether a file or folder needs servers. */
export function isLive(path: string): boolean {
  return relative(ROOT, path).startsWith("tests/live");
}

/**
 * Runs files, two at once. Those that fail run once more, alone: the time limits are those of a machine
 * with nothing else to do. Tells how each went, and gives whether all is well.
 */
export async function runTestFiles(
  files: readonly string[],
  options: TestFilesOptions,
): Promise<boolean> {
  const first = await runSome(files, AT_ONCE, options);
  const again = files.filter((file) => first.get(file)!.failed.length > 0);
  if (again.length > 0) console.log(`\nOnce more, alone: ${again.length} files`);
  const { lines, isGood } = summarize(first, await runSome(again, 1, options), options.cause);
  console.log(`\n${lines.join("\n")}`);
  return isGood;
}

async function runSome(
  files: readonly string[],
  atOnce: number,
  options: TestFilesOptions,
): Promise<Map<string, Tally>> {
  const tallies = new Map<string, Tally>();
  const left = [...files];
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (let file = left.shift(); file !== undefined; file = left.shift()) {
      const started = Date.now();
      const tally = await options.run(file);
      tell(file, tally, Math.round((Date.now() - started) / 1000), options);
      tallies.set(file, tally);
    }
  }));
  return tallies;
}

function tell(
  file: string,
  { passed, failed, known, mended }: Tally,
  seconds: number,
  { cause, list }: TestFilesOptions,
): void {
  console.log(`${failed.length > 0 ? "FAILED" : "ok"} ${file}: ${passed} passed, ${seconds} s`);
  for (const { name, message } of failed) {
    console.log(`  FAILED ${name}\n${message.slice(0, SHOWN).replace(/^/gm, "    ")}`);
  }
  for (const { test, reason } of known) console.log(`  ${cause}: ${test} (${reason})`);
  for (const { test } of mended) console.log(`  PASSED, take it off ${list}: ${test}`);
}
