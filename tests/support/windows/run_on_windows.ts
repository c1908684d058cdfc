// deno-lint-ignore-file no-console
/**
 * Runs tests with the Windows build of Deno, under Wine: `deno task test:windows`.
 *
 * Arguments are files and folders of tests; without one, those of {@linkcode DIFFERENT} run. At the first
 * run a folder with Debian's Wine is made in the cache, which needs Linux and root: elsewhere it says so
 * and is done. Each file has a process of its own, and {@linkcode LIMIT_MS}. What fails for a reason of
 * Wine's is in `wine_faults.ts`, by name; nothing else may fail twice.
 *
 * Where Wine cannot be had, it says why. With `--if-possible` the exit code is then {@linkcode LEFT_OUT}.
 */
import { spawnProcess } from "../deno_process.ts";
import { runElsewhere, testFiles } from "../run_elsewhere.ts";
import { buildWine } from "../servers/build_wine.ts";
import {
  denoOnWindows,
  hasWine,
  inWine,
  whyNoWine,
  WINE_FOLDER,
  wineParts,
} from "../servers/wine.ts";
import { copyRepository } from "../copy_repository.ts";
import { WINE_FAULTS } from "./wine_faults.ts";

/** Where Windows differs: files, locks, Deno KV, the keychain, permissions, and the command line. */
const DIFFERENT =
  /^tests\/(backends\/(file|kv|keychain)|behaviour\/permissions|client\/cli\/(commands\/)?(login|main|settings|config)_)/;
const LIMIT_MS = 400_000;
/** The exit code of what was left out, which `.ci/run` knows. */
const LEFT_OUT = 77;
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

/**
 * Runs a command of Wine's to its end, and gives why that was bad. Its output goes to a file: what a killed
 * test leaves behind, and the services of Windows, would hold a pipe open.
 */
async function run(command: readonly string[], name: string): Promise<string | undefined> {
  const output = `${drive}/${REPORTS}/${name}.txt`;
  const signal = AbortSignal.timeout(LIMIT_MS);
  const toFile = ["sh", "-c", 'exec "$@" >"$0" 2>&1', output, ...command];
  const streams = { stdout: "null", stderr: "null" } as const;
  const { success } = await spawnProcess(toFile, { ...streams, signal }).status;
  if (success) return undefined;
  const said = (await Deno.readTextFile(output)).slice(-1500);
  return signal.aborted ? `it took more than ${LIMIT_MS / 1000} s. ${said}` : said;
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
  await copyRepository(`${drive}/${REPOSITORY}`);
  const options = { folder: REPOSITORY, env: await networkEnv() };
  for (const args of FETCHES) {
    const trouble = await run(denoOnWindows(args, options), args[0]!);
    if (trouble !== undefined) throw new Error(`Cannot get the npm packages: ${trouble}`);
  }
}

async function runFile(file: string) {
  const name = file.replaceAll("/", "-");
  const report = `${drive}/${REPORTS}/${name}.xml`;
  await Deno.remove(report).catch(() => undefined);
  const flags = [...FLAGS, "--cached-only", `--junit-path=C:\\${REPORTS}\\${name}.xml`];
  const command = denoOnWindows(["test", ...flags, file], { folder: REPOSITORY });
  return { report, trouble: await run(command, name) };
}

/** Ends the run where there is a reason to. */
function leaveOutIf(reason: string | undefined): void {
  if (reason === undefined) return;
  console.log(`Left out: ${reason}`);
  Deno.exit(Deno.args.includes("--if-possible") ? LEFT_OUT : 1);
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
  const files = await testFiles(named, DIFFERENT);
  await prepare();
  try {
    const run = ([file]: readonly string[]) => runFile(file!);
    if (!await runElsewhere(files, { faults: WINE_FAULTS, isTogether: false, run })) {
      Deno.exitCode = 1;
    }
  } finally {
    await endAll();
  }
}
