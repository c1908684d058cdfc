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
import { buildWine } from "../servers/build_wine.ts";
import {
  denoOnWindows,
  hasWine,
  inWine,
  whyNoWine,
  WINE_FOLDER,
  wineParts,
} from "../servers/wine.ts";
import { type Tally, tallyFile } from "../tally.ts";
import {
  type Ended,
  isLive,
  reasonOf,
  ROOT,
  runTestFiles,
  runWatched,
  testFiles,
} from "../test_files.ts";
import { copyRepository } from "./copy_repository.ts";
import { WINE_FAULTS } from "./wine_faults.ts";

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

const { root, drive } = wineParts();

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

/** Runs a command of Wine's to its end. */
async function run(command: readonly string[], name: string): Promise<Ended> {
  return await runWatched(command, `${drive}/${REPORTS}/${name}.txt`, LIMIT_SECONDS);
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
  const trouble = reasonOf(await run(command, name), LIMIT_SECONDS);
  const xml = await Deno.readTextFile(report).catch(() => undefined);
  return tallyFile(file, xml, trouble, WINE_FAULTS);
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
  const files = (await testFiles(named.length > 0 ? named : ["tests"]))
    .filter((file) => !isLive(file));
  await prepare();
  try {
    const options = { run: runFile, cause: "Wine", list: "wine_faults.ts" };
    if (!await runTestFiles(files, options)) Deno.exitCode = 1;
  } finally {
    await endAll();
  }
}
