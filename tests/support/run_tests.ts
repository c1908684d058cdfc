// deno-lint-ignore-file no-console
/**
 * Runs the tests, then the examples in the documentation: `deno task test`.
 *
 * Test files run side by side, as many as there are cores. Those of {@linkcode ALONE} follow one
 * after the other: they measure times, or start so many processes that others would starve.
 *
 * `--coverage` collects coverage in `coverage/data/`, `--junit=FOLDER` keeps the JUnit reports
 * `tests.xml`, `alone.xml` and `docs.xml`. All other arguments go to `deno test`, and then the examples are left
 * out: `deno task test tests/backends/file_test.ts --filter lock`. `TEST_REPORTS=FOLDER` in the
 * environment stands for both flags, so that CI runs the very command that README gives.
 *
 * Tests against real servers are in files named `*_live_test.ts`. They run with `--servers` only, or
 * if such a file is named: `deno task test:servers`, after `deno task servers`.
 */
import { walk } from "@std/fs/walk";
import { fromFileUrl } from "@std/path";
import { countJunit, type Counts, sumCounts } from "./reports.ts";
import { spawnDenoTool } from "./deno_process.ts";

const ROOT = new URL("../../", import.meta.url);
const TESTS = new URL("tests/", ROOT);
const ALLOW = ["-A", "--unstable-kv"];
/** Off by default in Deno 2.9: a test that leaves a file or a request open has not ended. */
const SANITIZE = ["--sanitize-ops", "--sanitize-resources"];
const COVERAGE_FOLDER = fromFileUrl(new URL("../../coverage/data", import.meta.url));
const COVERAGE = [`--coverage=${COVERAGE_FOLDER}`, "--coverage-raw-data-only"];

/** Folders whose tests need the machine for themselves. */
const ALONE = ["tests/bench/", "tests/torture/"];

const LIVE_TEST = /_live_test\.ts$/;

interface Plan {
  coverage: boolean;
  servers: boolean;
  junit: string | undefined;
  rest: string[];
}

function plan(args: readonly string[]): Plan {
  const reports = Deno.env.get("TEST_REPORTS");
  const junit = args.find((arg) => arg.startsWith("--junit="))?.slice("--junit=".length) ?? reports;
  const own = ["--coverage", "--servers"];
  const rest = args.filter((arg) => !own.includes(arg) && !arg.startsWith("--junit="));
  return {
    coverage: args.includes("--coverage") || reports !== undefined,
    servers: args.includes("--servers"),
    junit,
    rest,
  };
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

function testCommand(
  { coverage, servers, rest }: Plan,
  report: string,
  where: readonly string[],
  ignored: readonly string[] = [],
): string[] {
  const extra = coverage ? [...COVERAGE] : [];
  const isLive = servers || rest.some((arg) => LIVE_TEST.test(arg));
  const left = isLive ? ignored : [...ignored, "tests/**/*_live_test.ts"];
  if (left.length > 0) extra.push(`--ignore=${left}`);
  return ["test", ...ALLOW, ...SANITIZE, `--junit-path=${report}`, ...extra, ...where, ...rest];
}

/** Runs the tests: those that the arguments name, or all. */
async function runTests(what: Plan, folder: string): Promise<Counts[]> {
  const [report, alone] = [`${folder}/tests.xml`, `${folder}/alone.xml`];
  if (what.rest.some((arg) => !arg.startsWith("-") && exists(arg))) {
    return [await run([...testCommand(what, report, []), "--parallel"], report)];
  }
  const rest = testCommand(what, report, ["--parallel", "tests/"], ALONE);
  return [
    await run(rest, report),
    await run(testCommand(what, alone, ALONE), alone),
  ];
}

function docsCommand(report: string): string[] {
  return ["run", ...ALLOW, "tests/support/doc_tests.ts", `--junit-path=${report}`];
}

/** Runs deno and reads its report; a run that broke off counts as at least one failure. */
async function run(args: string[], report: string): Promise<Counts> {
  // An earlier report must not stand for a run that wrote none.
  if (exists(report)) await Deno.remove(report);
  // For what runs in children only, such as a Worker with an unstable flag: see deno_process.ts.
  const env: Record<string, string> = args.includes(COVERAGE[0]!)
    ? { DENO_COVERAGE_DIR: COVERAGE_FOLDER }
    : {};
  const { success } = await spawnDenoTool(args, { cwd: ROOT, env, inheritEnv: true }).status;
  const counts = exists(report)
    ? countJunit(await Deno.readTextFile(report))
    : { passed: 0, failed: 0, ignored: 0 };
  if (!success && counts.failed === 0) counts.failed = 1;
  return counts;
}

async function runAll(what: Plan, folder: string): Promise<Counts[]> {
  const tests = await runTests(what, folder);
  if (what.rest.length > 0) return tests;
  const docs = await run(docsCommand(`${folder}/docs.xml`), `${folder}/docs.xml`);
  return [...tests, docs];
}

function describe(counts: Counts[]): string {
  const { passed, failed, ignored } = sumCounts(counts);
  const what = counts.length > 2 ? "tests and documentation examples" : "tests";
  const rest = ignored > 0 ? ` (${ignored} ignored)` : "";
  return failed > 0
    ? `FAILED: ${failed} of ${passed + failed} ${what}${rest}`
    : `ok: all ${passed} ${what}${rest}`;
}

/** Says what a run without servers leaves out. */
async function leftOut(): Promise<string> {
  const files = await Array.fromAsync(walk(fromFileUrl(TESTS), { match: [LIVE_TEST] }));
  return `Left out: ${files.length} files of tests that need servers ` +
    "(`deno task servers`, then `deno task test:servers`).";
}

if (import.meta.main) {
  const what = plan(Deno.args);
  if (what.coverage && exists("coverage/data")) {
    await Deno.remove("coverage/data", { recursive: true });
  }
  const folder = what.junit ?? await Deno.makeTempDir({ prefix: "validmind-auth-junit-" });
  await Deno.mkdir(folder, { recursive: true });
  try {
    const counts = await runAll(what, folder);
    if (!what.servers && what.rest.length === 0) console.log(await leftOut());
    console.log(describe(counts));
    if (sumCounts(counts).failed > 0) Deno.exitCode = 1;
  } finally {
    if (what.junit === undefined) await Deno.remove(folder, { recursive: true });
  }
}
