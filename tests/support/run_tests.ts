// deno-lint-ignore-file no-console
/**
 * Runs the tests, then the examples in the documentation: `deno task test`.
 *
 * Files named `*_slow_test.ts` start a process for each case or measure times, and run with `--all`.
 * Those in `tests/live/` need the servers of `deno task servers`, and run with `--servers`, which runs
 * all. A file that an argument names runs in any case, and so does a folder in `tests/live/`. Other
 * arguments go to `deno test`, and the examples are left out: `deno task test tests/backends --filter lock`.
 *
 * `--reports=FOLDER` keeps the JUnit reports, and `--coverage` collects coverage in `coverage/data/`.
 * `TEST_REPORTS=FOLDER` in the environment stands for both.
 *
 * A run without a passed test fails, and so does one in which nothing ends for {@linkcode SILENCE_SECONDS}.
 * With `--servers` a test that is ignored and not in `may_be_ignored.ts` fails the run.
 */
import { fromFileUrl } from "@std/path/from-file-url";
import { mayBeIgnored } from "./may_be_ignored.ts";
import { countJunit, type Counts, junitCases, sumCounts } from "./reports.ts";

const ROOT = new URL("../../", import.meta.url);
const ALLOW = ["-A", "--unstable-kv"];
/** Off by default in Deno 2.9: a test that leaves a file or a request open has not ended. */
const SANITIZE = ["--sanitize-ops", "--sanitize-resources"];
const COVERAGE_FOLDER = fromFileUrl(new URL("coverage/data", ROOT));
const COVERAGE = [`--coverage=${COVERAGE_FOLDER}`, "--coverage-raw-data-only"];
/** Files whose tests measure times, or start so many processes that others would starve. */
const ALONE = ["tests/lab/bench/", "tests/lab/torture/", "tests/live/lab/"];
/** No file of tests takes as long. */
const SILENCE_SECONDS = 300;

const SLOW = "tests/**/*_slow_test.ts";
const LIVE = "tests/live/";

interface Plan {
  isAll: boolean;
  hasServers: boolean;
  isCovered: boolean;
  reports: string | undefined;
  /** What goes to `deno test`. */
  rest: string[];
}

/** One call of `deno test`, and the name of its report. */
interface Part {
  name: string;
  args: string[];
}

function plan(args: readonly string[]): Plan {
  const fromEnv = Deno.env.get("TEST_REPORTS");
  const reports = args.find((arg) => arg.startsWith("--reports="))?.slice("--reports=".length);
  const own = ["--all", "--servers", "--coverage"];
  return {
    isAll: args.includes("--all") || args.includes("--servers"),
    hasServers: args.includes("--servers"),
    isCovered: args.includes("--coverage") || fromEnv !== undefined,
    reports: reports ?? fromEnv,
    rest: args.filter((arg) => !own.includes(arg) && !arg.startsWith("--reports=")),
  };
}

function partsOf({ isAll, hasServers, isCovered, rest }: Plan): Part[] {
  const common = ["test", ...ALLOW, ...SANITIZE, ...(isCovered ? COVERAGE : [])];
  const left = [...(isAll ? [] : [SLOW]), ...(hasServers ? [] : [LIVE])];
  const ignoring = (paths: readonly string[]) => paths.length > 0 ? [`--ignore=${paths}`] : [];
  const paths = rest.filter((arg) => !arg.startsWith("-") && exists(arg));
  if (paths.length > 0) {
    const isNamed = paths.some((path) => path.endsWith("_test.ts"));
    const isLive = paths.some((path) => path.startsWith(LIVE));
    const ignored = isNamed ? [] : ignoring(isLive ? [SLOW] : left);
    return [{ name: "tests", args: [...common, "--parallel", ...ignored, ...rest] }];
  }
  const parallel = [...common, "--parallel", ...ignoring([...left, ...ALONE]), "tests/", ...rest];
  const alone = [...common, ...ignoring(left), "--permit-no-files", ...ALONE, ...rest];
  const docs = ["run", ...ALLOW, "tests/support/doc_tests.ts"];
  return [
    { name: "tests", args: parallel },
    ...(isAll ? [{ name: "alone", args: alone }] : []),
    ...(rest.length === 0 ? [{ name: "docs", args: docs }] : []),
  ];
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Runs one part and reads its report; a run that broke off counts as at least one failure. */
async function run({ name, args }: Part, folder: string, hasServers: boolean): Promise<Counts> {
  const report = `${folder}/${name}.xml`;
  // An earlier report must not stand for a run that wrote none.
  if (exists(report)) await Deno.remove(report);
  // For what runs in children only, such as a Worker with an unstable flag: see deno_process.ts.
  const env: Record<string, string> = args.includes(COVERAGE[0]!)
    ? { DENO_COVERAGE_DIR: COVERAGE_FOLDER }
    : {};
  const isGood = await runWatched([...args, `--junit-path=${report}`], env);
  const xml = exists(report) ? await Deno.readTextFile(report) : undefined;
  const counts = xml === undefined ? { passed: 0, failed: 0, ignored: 0 } : countJunit(xml);
  if (!isGood && counts.failed === 0) counts.failed = 1;
  if (hasServers && xml !== undefined) counts.failed += wronglyIgnored(xml);
  return counts;
}

/** Runs deno, and ends it where nothing was said for too long. */
async function runWatched(args: string[], env: Record<string, string>): Promise<boolean> {
  const abort = new AbortController();
  const child = new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: abort.signal,
  }).spawn();
  let [last, running] = [performance.now(), ""];
  const pass = async (
    from: ReadableStream<Uint8Array>,
    to: { writeSync(p: Uint8Array): number },
  ) => {
    for await (const bytes of from) {
      for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
      const text = new TextDecoder().decode(bytes);
      running = /^.*has been running for over.*$/m.exec(text)?.[0] ?? running;
      if (text.replace(/^.*has been running for over.*$\n?/gm, "").trim() !== "") {
        last = performance.now();
      }
    }
  };
  const timer = setInterval(() => {
    if (performance.now() - last < SILENCE_SECONDS * 1000) return;
    console.log(`Ended: nothing was said for ${SILENCE_SECONDS} s. ${running}`);
    abort.abort();
  }, 1000);
  try {
    await Promise.all([pass(child.stdout, Deno.stdout), pass(child.stderr, Deno.stderr)]);
    return (await child.status).success;
  } finally {
    clearInterval(timer);
  }
}

/** How many tests were ignored that nothing allows to be, each of which is named. */
function wronglyIgnored(xml: string): number {
  const wrong = junitCases(xml).filter((one) => one.outcome === "ignored" && !mayBeIgnored(one));
  for (const { file, name } of wrong) {
    console.log(`Ignored, and not allowed to be: ${file}: ${name}`);
  }
  return wrong.length;
}

if (import.meta.main) {
  const what = plan(Deno.args);
  if (what.isCovered && exists("coverage/data")) {
    await Deno.remove("coverage/data", { recursive: true });
  }
  const folder = what.reports ?? await Deno.makeTempDir({ prefix: "validmind-auth-junit-" });
  await Deno.mkdir(folder, { recursive: true });
  try {
    const counts: Counts[] = [];
    for (const part of partsOf(what)) counts.push(await run(part, folder, what.hasServers));
    const { passed, failed, ignored } = sumCounts(counts);
    if (passed === 0) {
      console.log("Cannot pass: no test ran. Check the path, --filter and the servers.");
    }
    console.log(`${passed} passed, ${failed} failed, ${ignored} skipped`);
    if (failed > 0 || passed === 0) Deno.exitCode = 1;
  } finally {
    if (what.reports === undefined) await Deno.remove(folder, { recursive: true });
  }
}
