import { assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { DENO, type ProcessResult, runProcess } from "../../support/deno_process.ts";
import { isOnPath } from "../../support/servers/servers.ts";
import { writeProgram } from "../../support/write_program.ts";
import { CLI, cliTest, type CliWorld, ENDED, quoted } from "./cli_world.ts";

/** Runs a recipe of a page, with a `validmind-auth` that is this module. */
async function runShell(world: CliWorld, script: string): Promise<ProcessResult> {
  const program = `#!/bin/sh\nexec ${quoted(DENO)} run --quiet -A ${quoted(CLI)} "$@"\n`;
  await Deno.mkdir(`${world.home}/bin`, { recursive: true });
  writeProgram(`${world.home}/bin/validmind-auth`, program);
  const path = `${world.home}/bin:${Deno.env.get("PATH")}`;
  return await runProcess(["sh", "-c", script], { env: { ...world.env, PATH: path } });
}

const readPage = (name: string) =>
  Deno.readTextFile(new URL(`../../../client/${name}.md`, import.meta.url));
const [PAGE, JOBS] = [await readPage("command_line"), await readPage("jobs")];
const run = { ignore: Deno.build.os === "windows" };

const hasGit = await isOnPath("git");

cliTest(hasGit ? "the recipe for git" : "the recipe for git (there is no git)", async (world) => {
  const { access_token } = await world.signIn();
  const [recipe] = /git config --global [^`]*/.exec(PAGE)!;
  const fill = "printf 'protocol=https\\nhost=git.example.com\\n\\n' | git credential fill";
  const { stdout, stderr } = await runShell(world, `${recipe}${fill}`);
  assertStringIncludes(stdout, `username=oauth2\npassword=${access_token}\n`, stderr);
}, { ignore: run.ignore || !hasGit });

cliTest("the recipe for a scheduled job", async (world) => {
  const [, recipe] = /(#!\/bin\/sh\nexport VM_OIDC_INTERACTIVE=0[^`]*)```/.exec(JOBS)!;
  const script = recipe!.replace("exec deno run -A job.ts", "echo the job runs");
  const before = await runShell(world, script);
  assertEquals([before.code, before.stdout.length], [4, 0]);
  assertMatch(before.stderr, /validmind-auth login --issuer/);
  await world.signIn();
  await world.amend({ expires_at: ENDED });
  const { code, stdout } = await runShell(world, script);
  assertEquals([code, stdout], [0, "the job runs\n"]);
  assertNotEquals(world.stored().expires_at, ENDED);
}, run);
