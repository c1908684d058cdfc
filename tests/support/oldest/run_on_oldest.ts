// deno-lint-ignore-file no-console
/**
 * Runs tests with the oldest Deno that this module runs on: `deno task test:oldest`.
 *
 * Arguments are files and folders of tests; without one, those of {@linkcode DIFFERENT} run. What does
 * not run there is in `oldest_faults.ts`, by name and with the reason; nothing else may fail twice.
 *
 * Without that Deno it says so. The exit code is then {@linkcode LEFT_OUT}, and 1 with `CI=true`.
 */
import { findDenoDir } from "../deno_process.ts";
import { ROOT, runElsewhere, testFiles } from "../run_elsewhere.ts";
import { runWatched } from "../run_watched.ts";
import { hasServer, serverBinary, SERVERS } from "../servers/servers.ts";
import { tempDir } from "../temp_home.ts";
import { OLDEST_FAULTS } from "./oldest_faults.ts";

/** What uses Deno itself: files, locks, Deno KV, libraries, permissions, the prompt, the network. */
const DIFFERENT = new RegExp(
  "^tests/(mod_test|backends/(common|file|kv|keychain|helper)|behaviour/permissions" +
    "|client/(permissions|prompt|provider|sign_in)|live/backends/(keychain|kv))",
);
/** The exit code of what was left out, which `.ci/run` knows. */
const LEFT_OUT = 77;
const FLAGS = ["-A", "--unstable-kv", "--no-check", "--quiet", "--parallel"];

/**
 * Puts a copy of that Deno in a folder, where other users may run it, too, by the name of `deno`. Beside
 * it is its cache: Denos throw away what others have compiled. They share what npm has.
 */
async function install(folder: string): Promise<Record<string, string>> {
  const cache = `${folder}/cache`;
  await Deno.chmod(folder, 0o755);
  await Deno.copyFile(await serverBinary("old-deno"), `${folder}/deno`);
  await Deno.mkdir(cache);
  await Deno.symlink(`${findDenoDir()}/npm`, `${cache}/npm`);
  return { DENO_DIR: cache, NO_COLOR: "1" };
}

if (import.meta.main) {
  if (!await hasServer("old-deno")) {
    console.log("Left out: there is no old Deno. Run: deno task servers old-deno");
    Deno.exit(Deno.env.get("CI") === "true" ? 1 : LEFT_OUT);
  }
  const files = await testFiles(Deno.args, DIFFERENT);
  await using folder = await tempDir();
  const env = await install(folder.path);
  console.log(`By Deno ${SERVERS["old-deno"].version}:`);
  const isWell = await runElsewhere(files, {
    faults: OLDEST_FAULTS,
    isTogether: true,
    async run(some) {
      const report = `${folder.path}/report.xml`;
      await Deno.remove(report).catch(() => undefined);
      const command = [`${folder.path}/deno`, "test", ...FLAGS, `--junit-path=${report}`, ...some];
      const isGood = await runWatched(command, { cwd: ROOT, env });
      return { report, trouble: isGood ? undefined : "it ended badly" };
    },
  });
  if (!isWell) Deno.exitCode = 1;
}
