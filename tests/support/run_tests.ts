// deno-lint-ignore-file no-console
/**
 * Runs the tests, then the examples in the documentation: `deno task test`. `deno task check` has the types.
 *
 * Files named `*_slow_test.ts` start a process for each case or measure times, and run with `--all`.
 * Those in `tests/live/` need the servers of `deno task servers`, and run with `--servers`, which runs
 * all. A file that an argument names runs in any case, and so does a folder in `tests/live/`. Other
 * arguments go to `deno test`, and the examples are left out: `deno task test tests/backends --filter lock`.
 *
 * `--reports=FOLDER` keeps the JUnit reports, and `--coverage` collects coverage in `coverage/data/`.
 *
 * Test files share an isolate with their neighbours: their starts took a seventh of the CPU time.
 * Deno then names a group by the folder of its first file, and a test by where it was registered. Slow and
 * live files have isolates of their own, and so has each file that is named.
 *
 * A run without a passed test fails, and so does one with a test that takes minutes. A test of a whole run
 * that is ignored and not in `may_be_ignored.ts` fails the run. Variables of this module, and those that
 * change Deno, are not handed on: the tests set their own.
 */
import { walk } from "@std/fs/walk";
import { dirname, fromFileUrl, relative } from "@std/path";
import { mayBeIgnored, needsRoot } from "./may_be_ignored.ts";
import { countCases, countsLine, type JunitCase, junitCases } from "./reports.ts";
import { runWatched } from "./run_watched.ts";
import { findDenoDir, ROOMY } from "./deno_process.ts";
import { tempDir } from "./temp_home.ts";

const ROOT = new URL("../../", import.meta.url);
const ALLOW = ["-A", "--unstable-kv"];
/** Off by default in Deno 2.9: a test that leaves a file or a request open has not ended. */
const STRICT = ["--no-check", "--sanitize-ops", "--sanitize-resources", "--parallel", ROOMY];
const COVERAGE_FOLDER = fromFileUrl(new URL("coverage/data", ROOT));
const COVERAGE = [`--coverage=${COVERAGE_FOLDER}`, "--coverage-raw-data-only"];
/** Files that start so many processes that others would starve. */
const ALONE = ["tests/lab/torture/", "tests/live/lab/"];
/** Files that take longest: they begin first, so that no other waits for one of them at the end. */
const LONGEST = [
  "tests/readme_test.ts",
  "tests/backends/testing/several_processes_test.ts",
  "tests/backends/helper_test.ts",
  "tests/backends/conformance_test.ts",
];
/** The same of those with servers. They begin after the others, which leave less of the processors to a hub. */
const LONGEST_LIVE = [
  "tests/live/hub/hub_upkeep_test.ts",
  "tests/live/backends/helper_test.ts",
  "tests/live/hub/hub_file_test.ts",
  "tests/live/hub/validmind_store_test.ts",
  "tests/live/hub/cluster_test.ts",
  "tests/live/hub/hub_exchange_test.ts",
];
const LIVE = "tests/live/";
/**
 * Files that need an isolate as new as a process, which knows no tokens that it has to hide, or has opened no
 * store of the home by its name alone. Each isolate takes a tenth of a second before its first test.
 */
const OWN_ISOLATE = [
  "tests/behaviour/secrecy/",
  "tests/behaviour/storage/",
  "tests/client/cli/commands/config_test.ts",
  "tests/client/cli/commands/login_test.ts",
  "tests/client/cli/commands/status_test.ts",
  LIVE,
];
/** How many live files run at once on two processors: they mostly wait for their servers. */
const LIVE_JOBS = "3";
/** Files of one isolate: few enough that two cores end together. */
const TOGETHER = 24;
/** The same of files of stores, of which some catch the warnings, or load the library, of a whole isolate. */
const STORES_TOGETHER = 12;
const OWN = ["--all", "--servers", "--coverage"];

/** One call of `deno`, and the name of its report. */
interface Part {
  name: string;
  args: string[];
}

const isRoot = Deno.uid() === 0;
const hasServers = Deno.args.includes("--servers");
const isAll = hasServers || Deno.args.includes("--all");
const isCovered = Deno.args.includes("--coverage");
const reports = Deno.args.find((arg) => arg.startsWith("--reports="))?.slice("--reports=".length);
const rest = Deno.args.filter((arg) => !OWN.includes(arg) && !arg.startsWith("--reports="));

async function parts(folder: string): Promise<Part[]> {
  const common = ["test", ...ALLOW, ...STRICT, ...(isCovered ? COVERAGE : [])];
  const paths = rest.filter((arg) => !arg.startsWith("-") && exists(arg));
  if (paths.some((path) => path.endsWith("_test.ts"))) {
    return [{ name: "tests", args: [...common, ...rest] }];
  }
  const flags = rest.filter((arg) => !paths.includes(arg));
  const files = await filesIn(paths.length > 0 ? paths : ["tests"]);
  const isAlone = (file: string) => paths.length === 0 && ALONE.some((one) => file.startsWith(one));
  const args = await modulesOf(files.filter((file) => !isAlone(file)), folder);
  const alone = files.filter(isAlone);
  const docs = { name: "docs", args: ["run", ...ALLOW, "tests/support/doc_tests.ts"] };
  return [
    // Without a file Deno would run all that it finds.
    ...(args.length > 0 ? [{ name: "tests", args: [...common, ...args, ...flags] }] : []),
    ...(alone.length > 0 ? [{ name: "alone", args: [...common, ...alone, ...flags] }] : []),
    ...(rest.length === 0 ? [docs] : []),
  ];
}

/** The test files of folders that are wanted, sorted. */
async function filesIn(folders: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const folder of folders) {
    const isLive = hasServers || `${folder}/`.startsWith(LIVE);
    const skip = [...(isAll ? [] : [/_slow_test\.ts$/]), ...(isLive ? [] : [/tests.live\b/])];
    for await (const { path } of walk(folder, { match: [/_test\.ts$/], skip })) {
      files.push(relative(".", path).replaceAll("\\", "/"));
    }
  }
  return files.sort();
}

/**
 * Makes the modules that import these files: the longest first, those that share an isolate, and the others.
 * They lie in one folder: Deno begins with the files of the deepest one, whatever their order.
 */
async function modulesOf(files: readonly string[], folder: string): Promise<string[]> {
  const isOwn = (file: string) =>
    file.endsWith("_slow_test.ts") || OWN_ISOLATE.some((one) => file.startsWith(one));
  const isWanted = (file: string) => files.includes(file);
  const [longest, longestLive] = [LONGEST.filter(isWanted), LONGEST_LIVE.filter(isWanted)];
  const others = files.filter((file) => ![...longest, ...longestLive].includes(file));
  const own = [...longestLive, ...others.filter(isOwn)];
  const sharing = others.filter((file) => !isOwn(file));
  const groups: string[][] = longest.map((file) => [file]);
  while (sharing.length > 0) {
    const isOfStore = sharing[0]!.startsWith("tests/backends/");
    groups.push(sharing.splice(0, isOfStore ? STORES_TOGETHER : TOGETHER));
  }
  groups.push(...own.map((file) => [file]));
  return await Promise.all(groups.map(async (group, index) => {
    const name = group.length === 1 ? group[0]! : `${dirname(group[0]!)}_test.ts`;
    const module = `${folder}/${index}-${name.replaceAll("/", "-")}`;
    const imports = group.map((file) => `import "${new URL(file, ROOT)}";\n`);
    await Deno.writeTextFile(module, imports.join(""));
    return module;
  }));
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Runs one part and gives its tests. A run that broke off has at least one that failed. */
async function run({ name, args }: Part, folder: string): Promise<JunitCase[]> {
  const report = `${folder}/${name}.xml`;
  if (exists(report)) await Deno.remove(report); // it must not stand for a run that writes none
  // For what runs in children only, such as a Worker with an unstable flag: see deno_process.ts.
  const env: Record<string, string> = isCovered ? { DENO_COVERAGE_DIR: COVERAGE_FOLDER } : {};
  env.DENO_DIR = findDenoDir(); // else each file that starts a process would ask for it
  if (hasServers) env.DENO_JOBS = Deno.env.get("DENO_JOBS") ?? LIVE_JOBS;
  const command = [Deno.execPath(), ...args, `--junit-path=${report}`];
  const isGood = await runWatched(command, { cwd: ROOT, env });
  const cases = exists(report) ? junitCases(await Deno.readTextFile(report)) : [];
  for (const one of cases.filter(isLeftOutUnasked)) {
    console.log(`Ignored, and not allowed to be: ${one.file}: ${one.name}`);
    cases.push({ ...one, outcome: "failed" });
  }
  const hasFailed = cases.some(({ outcome }) => outcome === "failed");
  if (!isGood && !hasFailed) cases.push({ file: name, name, outcome: "failed", message: "" });
  return cases;
}

/** The tests do not see a proxy, by which packages may have to come. */
async function fetchPackages(): Promise<void> {
  const hasProxy = Object.keys(Deno.env.toObject()).some((name) => /^HTTPS?_PROXY$/i.test(name));
  if (!hasProxy) return;
  await new Deno.Command(Deno.execPath(), { args: ["install", "--quiet"], cwd: ROOT }).output();
}

/** Whether a test was ignored without a reason that holds here. The reasons are those of Linux. */
function isLeftOutUnasked(one: JunitCase): boolean {
  const isJudged = Deno.build.os === "linux" && rest.length === 0;
  return isJudged && one.outcome === "ignored" && !mayBeIgnored(one, { isRoot, hasServers });
}

/** Says which tests an ordinary user cannot run. */
function tellOfRoot(cases: readonly JunitCase[]): void {
  const left = cases.filter((one) => one.outcome === "ignored" && needsRoot(one));
  if (left.length === 0) return;
  console.log(`Left out without root: ${left.length}. Run them as root:`);
  for (const { name } of left) console.log(`    ${name}`); // its file may be a helper's
}

const HELP = `Runs the tests, then the examples of the pages: deno task test [PATH…] [FLAGS]

  PATH              a file or a folder of tests, in place of all
  --filter WORDS    only tests with these words in their names; all flags of deno test serve
  --all             also the slow tests, as deno task test:all
  --servers         also those that need servers, as deno task test:servers
  --coverage        collects coverage in coverage/data/
  --reports=FOLDER  keeps the JUnit reports
`;

if (import.meta.main && Deno.args.includes("--help")) {
  console.log(HELP);
  Deno.exit();
}

const missing = rest.find((arg) => /^tests\/|_test\.ts$/.test(arg) && !exists(arg));
if (import.meta.main && missing !== undefined) {
  console.error(`Cannot run ${missing}: there is no such file or folder. Check the path.`);
  Deno.exit(2);
}

if (import.meta.main) {
  if (isCovered && exists("coverage/data")) await Deno.remove("coverage/data", { recursive: true });
  await fetchPackages();
  const folder = reports ?? await Deno.makeTempDir({ prefix: "validmind-auth-junit-" });
  await Deno.mkdir(folder, { recursive: true });
  try {
    await using groups = await tempDir();
    const cases: JunitCase[] = [];
    for (const part of await parts(groups.path)) cases.push(...await run(part, folder));
    const counts = countCases(cases);
    if (counts.passed + counts.failed === 0) {
      console.log(
        "Cannot pass: no test ran. Check the path, --filter and the servers. Slow tests need test:all.",
      );
    }
    tellOfRoot(cases);
    console.log(countsLine(counts));
    if (counts.failed > 0 || counts.passed === 0) Deno.exitCode = 1;
  } finally {
    if (reports === undefined) await Deno.remove(folder, { recursive: true });
  }
}
