/**
 * The command line, for shells and for jobs without code:
 *
 * ```sh
 * deno install --global --force --no-config --name validmind-auth -A jsr:@validmind/auth/cli
 * validmind-auth login
 * validmind-auth api things --api-host https://api.example.com/api/v1/
 * ```
 *
 * `login` signs in and `logout` signs out. `api` calls the API, and `exec` gives a program the token.
 * `migrate` moves credentials between stores. `permissions` lists the flags that a script needs.
 * `doctor` finds the cause of a failed sign-in or call. `--help` describes each command. Flags, variables and a
 * settings file name the provider and the client: `config` shows the source of each value.
 *
 * Results go to standard output, everything else to standard error. Only `token` prints a token.
 * The exit code is 0 for success and 1 for a failure. It is 2 for a wrong command line or setting, and 4
 * if a person has to sign in.
 *
 * `validmind-auth permissions --for cli` prints the installation with exact flags in place of `-A`.
 *
 * More: [the command line](command_line.md), with all commands and flags; [jobs and CI](jobs.md).
 *
 * @module
 */
import { isDeno, needDeno, VERSION } from "../backends/common/runtime.ts";
import { EXIT, PROGRAM } from "./cli/command.ts";
import { print } from "./cli/output.ts";

/** Loaded for all but the version. */
const loadRunner = () => import("./cli/run_command.ts");

/**
 * Runs one command, as the command line does. It is for a program that offers this command line as a
 * part of its own. Writes to standard output and standard error, and does not end the process.
 *
 * Needs the permissions of the command: `permissions --for cli` lists them.
 *
 * @param args The command and its options, without the program's name.
 * @returns The exit code: see `--help`. For `exec` it is the exit code of the program.
 * @category Command line
 *
 * @example
 * ```ts
 * import { runCli } from "@validmind/auth/cli";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await runCli(["--version"]), 0);
 * assertEquals(await runCli(["no-such-command"]), 2);
 * ```
 */
export async function runCli(args: readonly string[]): Promise<number> {
  // In a Deno that is too old, `--help` works and `doctor` names the one that is needed.
  if (!isDeno) needDeno("run the command line", "Install Deno, and then this by: deno install.");
  if (/^(--version|-V)$/.test(args.join(" "))) {
    try {
      print(`${PROGRAM} ${VERSION}\n`);
      return EXIT.ok;
    } catch {
      // The runner meets the same, and reports it.
    }
  }
  const { runCommand } = await loadRunner();
  return await runCommand(args);
}

if (import.meta.main) Deno.exit(await runCli(Deno.args));
