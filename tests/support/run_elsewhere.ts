// deno-lint-ignore-file no-console -- it tells how the tests went
/** Runs test files by another Deno than this one, which has faults of its own. */
import { walk } from "@std/fs/walk";
import { basename, fromFileUrl, relative } from "@std/path";
import { countCases, countsLine, type JunitCase, junitCases } from "./reports.ts";

/** The repository's folder. */
export const ROOT: string = fromFileUrl(new URL("../../", import.meta.url)).replace(/\/$/, "");

/** The most tests of a run that may fail beside others, and pass alone. */
export const MOST_FLAKES = 6;

/** A test that fails in an environment, for a reason of that environment's. */
export interface KnownFault {
  /** The test's file, from the root of the repository. */
  readonly file: string;
  /** Its whole name. */
  readonly test: string;
  /** What is different there. */
  readonly reason: string;
}

/** Options of {@linkcode runElsewhere}. */
export interface ElsewhereOptions {
  faults: readonly KnownFault[];
  /** Whether one process runs all files without a fault. Elsewhere each has its own, two at once. */
  isTogether: boolean;
  /** Receives how it went. @default {console.log} */
  tell?: (line: string) => void;
  /** Runs files, and gives the path of their report, and what was said where they ended badly. */
  run: (files: readonly string[]) => Promise<{ report: string; trouble: string | undefined }>;
}

/** The test files that are named, or that match. */
export async function testFiles(named: readonly string[], match: RegExp): Promise<string[]> {
  if (named.length > 0 && named.every((path) => path.endsWith("_test.ts"))) return [...named];
  const files: string[] = [];
  for await (const { path } of walk(`${ROOT}/tests`, { match: [/(?<!_slow)_test\.ts$/] })) {
    const file = relative(ROOT, path);
    const isWanted = named.length === 0
      ? match.test(file)
      : named.some((folder) => file.startsWith(folder));
    if (isWanted) files.push(file);
  }
  return files.sort();
}

/**
 * Runs files. Those that fail run once more, alone: the time limits are those of a machine with nothing
 * else to do. What passes then is a flake, which is told with the words of its failure; more than
 * {@linkcode MOST_FLAKES} are a failure. A known fault that fails counts as skipped, and one that passes as
 * failed, so that the list stays true.
 *
 * @returns Whether all is well.
 */
export async function runElsewhere(files: readonly string[], options: ElsewhereOptions) {
  const { tell = console.log } = options;
  const isAlone = (file: string) =>
    !options.isTogether || options.faults.some((fault) => fault.file === file);
  const together = files.filter((file) => !isAlone(file));
  const groups = [
    ...together.length > 0 ? [together] : [],
    ...files.filter(isAlone).map((f) => [f]),
  ];
  const cases: JunitCase[] = [];
  await Promise.all([0, 1].map(async () => {
    for (let group = groups.shift(); group !== undefined; group = groups.shift()) {
      cases.push(...await runGroup(group, options));
    }
  }));
  const first = cases.filter(isFailed);
  const bad = new Set(first.map(({ file }) => file));
  const helpers = [...bad].filter((file) => !files.includes(file));
  const again = files.filter((file) => bad.has(file) || isOfOne(file, helpers));
  if (again.length > 0) tell(`Once more, alone: ${again.join(", ")}`);
  const last = cases.filter(({ file }) => !bad.has(file) && !again.includes(file));
  for (const file of again) last.push(...await runGroup([file], options));
  const failures = last.filter(isFailed);
  for (const one of failures) tell(`FAILED ${describe(one)}`);
  const flakes = onePerRun(first.filter(({ name }) => !failures.some((one) => one.name === name)));
  for (const one of flakes) tell(`Flaked: ${describe(one)}`);
  const areFew = flakes.length <= MOST_FLAKES;
  if (!areFew) tell(`FAILED: ${flakes.length} flakes, more than ${MOST_FLAKES}`);
  const counts = countCases(last);
  tell(countsLine(counts));
  return areFew && counts.failed === 0 && counts.passed > 0;
}

/** Leaves one of the files that failed by the same words: those of a run that broke off as a whole. */
function onePerRun(flakes: readonly JunitCase[]): JunitCase[] {
  const keyOf = ({ file, name, message }: JunitCase) => name === file ? message : name;
  return [...new Map(flakes.map((one) => [keyOf(one), one])).values()];
}

/** A failed test, with the words of its failure. */
function describe({ file, name, message }: JunitCase): string {
  return `${file}: ${name}\n${message.slice(0, 1500).replace(/^/gm, "    ")}`;
}

/** Whether a test file registers tests by one of these helpers, under whose names a report has them. */
function isOfOne(file: string, helpers: readonly string[]): boolean {
  return helpers.some((helper) =>
    Deno.readTextFileSync(`${ROOT}/${file}`).includes(`/${basename(helper)}"`)
  );
}

function isFailed({ outcome }: JunitCase): boolean {
  return outcome === "failed";
}

async function runGroup(
  files: readonly string[],
  { run, faults, tell = console.log }: ElsewhereOptions,
): Promise<JunitCase[]> {
  const started = performance.now();
  const { report, trouble } = await run(files);
  const xml = await Deno.readTextFile(report).catch(() => undefined);
  const [only, ...others] = files;
  const cases = (xml === undefined ? [] : junitCases(xml))
    .map((one) => judge(others.length === 0 ? { ...one, file: only! } : one, faults));
  const known = faults.filter(({ file }) => files.includes(file));
  for (const { file, test } of known) {
    const isThere = cases.some((one) => one.file === file && one.name === test);
    if (!isThere) cases.push(failed(file, test, "it is listed as a fault, and not there"));
  }
  // Wine may give the exit code 0 to a process that ended badly.
  const reason = trouble ?? (xml === undefined ? "there is no report" : undefined);
  const isTold = xml !== undefined && (cases.some(isFailed) || known.length > 0);
  if (reason !== undefined && !isTold) {
    cases.push(...files.map((file) => failed(file, file, reason)));
  }
  const seconds = Math.round((performance.now() - started) / 1000);
  tell(
    `${files.length === 1 ? files[0] : `${files.length} files`}: ${seconds} s, ${
      countsLine(countCases(cases))
    }`,
  );
  return cases;
}

function judge(one: JunitCase, faults: readonly KnownFault[]): JunitCase {
  const isKnown = faults.some(({ file, test }) => file === one.file && test === one.name);
  if (!isKnown || one.outcome === "ignored") return one;
  return one.outcome === "failed"
    ? { ...one, outcome: "ignored" }
    : failed(one.file, one.name, "it is listed as a fault, and passes");
}

function failed(file: string, name: string, message: string): JunitCase {
  return { file, name, outcome: "failed", message };
}
