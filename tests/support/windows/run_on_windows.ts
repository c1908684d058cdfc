// deno-lint-ignore-file no-console
/**
 * Runs tests with the Windows build of Deno, under Wine: `deno task test:windows`.
 *
 * Arguments are files and folders of tests; without one, all run. At the first run a folder with
 * Debian's Wine is made in the cache, which needs Linux and root: elsewhere it says so and is done.
 * Each file has a process of its own, which is ended when it says nothing for 200 seconds
 * (`--limit=SECONDS`): one test may take so long. What fails for a reason of Wine's is in
 * `wine_faults.ts`, by name; nothing else may fail twice.
 *
 * `--if-possible` makes it no failure that Wine cannot be had: it says why.
 */
import { walk } from "@std/fs/walk";
import { fromFileUrl, relative } from "@std/path";
import { spawnProcess } from "../deno_process.ts";
import { buildWine } from "../servers/build_wine.ts";
import {
  denoOnWindows,
  hasWine,
  inWine,
  whyNoWine,
  WINE_FOLDER,
  wineParts,
} from "../servers/wine.ts";
import { copyRepository } from "./copy_repository.ts";
import { summarize } from "./summary.ts";
import { type Tally, tallyFile } from "./tally.ts";

const ROOT = fromFileUrl(new URL("../../../", import.meta.url)).replace(/\/$/, "");
const AT_ONCE = 2;
const LIMIT_SECONDS = Number(/--limit=(\d+)/.exec(Deno.args.join(" "))?.[1] ?? 200);
/** Below `C:`. */
const REPOSITORY = "auth";
const REPORTS = "reports";
const TEMPORARY = "users/root/AppData/Local/Temp";
const CERTIFICATES = "certificates.pem";
const FLAGS = ["-A", "--unstable-kv", "--no-check", "--quiet"];
/** What brings npm's packages into the cache: the imported ones, and the bundler of Deno. */
const FETCHES = [
  ["install", "--quiet"],
  ["cache", "--quiet", "tests/support/read_tarball.ts"], // names a package by itself
  ["bundle", "--quiet", `--output=C:\\${REPORTS}\\bundle.js`, "mod.ts"],
];
/** What Deno says now and then of a test that does not end. */
const STILL_RUNS = /^.*has been running for over.*$\n?/gm;
/** How much of what a test says of its failure is shown. */
const SHOWN = 1500;

const { root, drive } = wineParts();

/** The test files below the named files and folders, without those that need servers. */
async function testFiles(named: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const path of named.length > 0 ? named : ["tests"]) {
    const whole = `${ROOT}/${relative(ROOT, path)}`;
    if ((await Deno.stat(whole)).isFile) files.push(path);
    else for await (const { path } of walk(whole, { match: [/_test\.ts$/] })) files.push(path);
  }
  const names = files.map((file) => relative(ROOT, file));
  return [...new Set(names)].filter((name) => !name.endsWith("_live_test.ts")).sort();
}

/** What Deno needs of this machine to get npm's packages. */
async function networkEnv(): Promise<Record<string, string>> {
  const env: Record<string, string> = {};
  for (const name of ["NPM_CONFIG_REGISTRY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"]) {
    const value = Deno.env.get(name) ?? Deno.env.get(name.toLowerCase());
    if (value !== undefined) env[name] = value;
  }
  const bundle = Deno.env.get("DENO_CERT") ?? Deno.env.get("SSL_CERT_FILE");
  if (bundle === undefined) return env;
  await Deno.copyFile(bundle, `${drive}/${CERTIFICATES}`);
  return { ...env, DENO_CERT: `C:\\${CERTIFICATES}` };
}

interface Ended {
  success: boolean;
  isLate: boolean;
  /** The end of what it said. */
  said: string;
}

/**
 * Runs a command of Wine's to its end. Its output goes to a file: the services of Windows, and what a
 * killed test leaves behind, would hold a pipe open.
 */
async function run(command: readonly string[], name: string): Promise<Ended> {
  const output = `${drive}/${REPORTS}/${name}.txt`;
  await Deno.writeTextFile(output, "");
  const silence = watchSilence(output);
  const { success } = await spawnProcess(["sh", "-c", 'exec "$@" >"$0" 2>&1', output, ...command], {
    stdout: "null",
    stderr: "null",
    signal: silence.signal,
  }).status;
  silence.stop();
  const said = (await Deno.readTextFile(output)).slice(-SHOWN);
  return { success, isLate: silence.signal.aborted, said };
}

/** Aborts when nothing new was written to a file for the time limit. */
function watchSilence(path: string): { signal: AbortSignal; stop: () => void } {
  const abort = new AbortController();
  let [size, since] = [0, performance.now()];
  const timer = setInterval(() => {
    const now = Deno.readTextFileSync(path).replace(STILL_RUNS, "").length;
    if (now !== size) [size, since] = [now, performance.now()];
    else if (performance.now() - since >= 1000 * LIMIT_SECONDS) abort.abort();
  }, 1000);
  return { signal: abort.signal, stop: () => clearInterval(timer) };
}

/** Ends all programs of the folder, those that a killed test left among them. */
async function endAll(): Promise<void> {
  await run(inWine(["wineserver", "--kill"]), "kill");
  await run(inWine(["wineserver", "--wait"]), "wait");
}

/** Killed tests leave their folders in it. */
async function emptyFolder(path: string): Promise<void> {
  for await (const { name } of Deno.readDir(path)) {
    await Deno.remove(`${path}/${name}`, { recursive: true });
  }
}

async function prepare(): Promise<void> {
  await Deno.mkdir(`${drive}/${REPORTS}`, { recursive: true });
  await endAll();
  await emptyFolder(`${drive}/${TEMPORARY}`);
  await Deno.writeTextFile(`${root}/etc/hosts`, "127.0.0.1 localhost\n"); // Windows knows it by itself
  await run(inWine(["wineserver", "--persistent"]), "start");
  await copyRepository(ROOT, `${drive}/${REPOSITORY}`);
  const options = { folder: REPOSITORY, env: await networkEnv() };
  for (const args of FETCHES) {
    const { success, said } = await run(denoOnWindows(args, options), args[0]!);
    if (!success) throw new Error(`Cannot get the npm packages: ${said}`);
  }
}

async function runFile(file: string): Promise<Tally> {
  const name = file.replaceAll("/", "-");
  const report = `${drive}/${REPORTS}/${name}.xml`;
  await Deno.remove(report).catch(() => undefined);
  const flags = [...FLAGS, "--cached-only", `--junit-path=C:\\${REPORTS}\\${name}.xml`];
  const command = denoOnWindows(["test", ...flags, file], { folder: REPOSITORY });
  const { success, isLate, said } = await run(command, name);
  const trouble = isLate
    ? `nothing was said for ${LIMIT_SECONDS} s. ${said}`
    : success
    ? undefined
    : said;
  return tallyFile(file, await Deno.readTextFile(report).catch(() => undefined), trouble);
}

/** Runs files, as many at once as said, and tells of each. */
async function runFiles(files: readonly string[], atOnce: number): Promise<Map<string, Tally>> {
  const tallies = new Map<string, Tally>();
  const left = [...files];
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (let file = left.shift(); file !== undefined; file = left.shift()) {
      const started = Date.now();
      const tally = await runFile(file);
      tell(file, tally, Math.round((Date.now() - started) / 1000));
      tallies.set(file, tally);
    }
  }));
  return tallies;
}

/** Files that fail run once more, alone: Wine is slow, and the time limits are those of a system. */
async function runAll(files: readonly string[]): Promise<boolean> {
  const first = await runFiles(files, AT_ONCE);
  const again = files.filter((file) => first.get(file)!.failed.length > 0);
  if (again.length > 0) console.log(`\nOnce more, alone: ${again.length} files`);
  const { lines, isGood } = summarize(first, await runFiles(again, 1));
  console.log(`\n${lines.join("\n")}`);
  return isGood;
}

function tell(file: string, { passed, failed, known, mended }: Tally, seconds: number): void {
  console.log(`${failed.length > 0 ? "FAILED" : "ok"} ${file}: ${passed} passed, ${seconds} s`);
  for (const { name, message } of failed) {
    console.log(`  FAILED ${name}\n${message.slice(0, SHOWN).replace(/^/gm, "    ")}`);
  }
  for (const { test, reason } of known) console.log(`  Wine: ${test} (${reason})`);
  for (const { test } of mended) console.log(`  PASSED, take it off wine_faults.ts: ${test}`);
}

/** Ends the run where there is a reason to. */
function leaveOutIf(reason: string | undefined): void {
  if (reason === undefined) return;
  console.log(`The tests on Windows are left out: ${reason}`);
  Deno.exit(Deno.args.includes("--if-possible") ? 0 : 1);
}

/** Makes Wine's folder where there is none. Gives the reason where that fails. */
async function makeWine(): Promise<string | undefined> {
  if (await hasWine()) return undefined;
  console.log("Making a folder with Wine; it takes some minutes …");
  return await buildWine().then(() => undefined, (error) => error.message);
}

if (import.meta.main) {
  const named = Deno.args.filter((arg) => !arg.startsWith("--"));
  leaveOutIf(whyNoWine());
  // Two runs would end each other's programs.
  await Deno.mkdir(WINE_FOLDER.replace(/\/[^/]*$/, ""), { recursive: true });
  using lock = await Deno.open(`${WINE_FOLDER}.lock`, { write: true, create: true });
  await lock.lock(true);
  leaveOutIf(await makeWine());
  const files = await testFiles(named);
  await prepare();
  try {
    if (!await runAll(files)) Deno.exitCode = 1;
  } finally {
    await endAll();
  }
}
