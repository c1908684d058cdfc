// deno-lint-ignore-file no-console
/**
 * Runs tests with the oldest Deno that this module runs on: `deno task test:oldest`.
 *
 * Arguments are files and folders of tests; without one, all of {@linkcode FOLDERS} run. Tests that need
 * servers run where their file is named: those of the stores are. Each file has a process of its own, which is ended
 * when it says nothing for 200 seconds (`--limit=SECONDS`). What does not run there is in `oldest_faults.ts`, by name and with the
 * reason; nothing else may fail twice.
 */
import { findDenoDir } from "../deno_process.ts";
import { serverBinary, SERVERS } from "../servers/servers.ts";
import { tallyFile } from "../tally.ts";
import { tempDir } from "../temp_home.ts";
import { reasonOf, ROOT, runTestFiles, runWatched, testFiles } from "../test_files.ts";
import { LEFT_OUT, OLDEST_FAULTS } from "./oldest_faults.ts";

/** What may differ by the Deno that runs. The other tests are of pages, pictures, packages and times. */
const FOLDERS = [
  ...["tests/backends", "tests/behaviour", "tests/client", "tests/mod_test.ts"],
  ...["encrypted", "keychain", "kv_hosts", "kv_lock"].map(liveTest),
  ...["vault_conformance", "vault_fault", "vault_login", "vault_permission"].map(liveTest),
];
const OLD_DENO_VERSION = SERVERS["old-deno"].version;
const LIMIT_SECONDS = Number(/--limit=(\d+)/.exec(Deno.args.join(" "))?.[1] ?? 200);
const FLAGS = ["-A", "--unstable-kv", "--no-check", "--quiet"];

function liveTest(name: string): string {
  return `tests/live/backends/${name}_test.ts`;
}

/**
 * Puts a copy of that Deno in a folder, where other users may run it, too, by the name of `deno`. Beside
 * it is its cache: Denos throw away what others have compiled. They share what npm has.
 */
async function install(folder: string): Promise<{ deno: string; env: Record<string, string> }> {
  const [deno, cache] = [`${folder}/deno`, `${folder}/cache`];
  await Deno.chmod(folder, 0o755);
  await Deno.copyFile(await serverBinary("old-deno"), deno);
  await Deno.mkdir(cache);
  await Deno.symlink(`${findDenoDir()}/npm`, `${cache}/npm`);
  return { deno, env: { DENO_DIR: cache, NO_COLOR: "1" } };
}

async function runFile(
  file: string,
  folder: string,
  { deno, env }: Awaited<ReturnType<typeof install>>,
) {
  const name = `${folder}/${file.replaceAll("/", "-")}`;
  const report = `${name}.xml`;
  await Deno.remove(report).catch(() => undefined);
  const command = [deno, "test", ...FLAGS, `--junit-path=${report}`, file];
  const options = { cwd: ROOT, env, inheritEnv: true };
  const ended = await runWatched(command, `${name}.txt`, LIMIT_SECONDS, options);
  const xml = await Deno.readTextFile(report).catch(() => undefined);
  return tallyFile(file, xml, reasonOf(ended, LIMIT_SECONDS), OLDEST_FAULTS);
}

if (import.meta.main) {
  const named = Deno.args.filter((arg) => !arg.startsWith("--"));
  const all = await testFiles(named.length > 0 ? named : FOLDERS);
  const files = all.filter((file) => !(file in LEFT_OUT));
  await using folder = await tempDir();
  const program = await install(folder.path);
  console.log(`By Deno ${OLD_DENO_VERSION}:`);
  const isWell = await runTestFiles(files, {
    run: (file) => runFile(file, folder.path, program),
    cause: `Deno ${OLD_DENO_VERSION}`,
    list: "oldest_faults.ts",
  });
  for (const [file, reason] of Object.entries(LEFT_OUT)) {
    if (all.includes(file)) console.log(`Left out: ${file} (${reason})`);
  }
  if (!isWell) Deno.exitCode = 1;
}
