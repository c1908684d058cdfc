import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { COMMANDS } from "../../../client/cli/main.ts";
import { VERSION } from "../../../client/signed_in/session.ts";
import { runDeno } from "../../support/deno_process.ts";
import { CLI, runMain } from "./cli_world.ts";

Deno.test("main: --version and --help need no permission", async () => {
  const version = await runDeno({ file: CLI, args: ["--version"] });
  assertEquals(version, { code: 0, stdout: `validmind-auth ${VERSION}\n`, stderr: "" });
  const help = await runDeno({ file: CLI, args: ["--help"] });
  assertEquals([help.code, help.stderr], [0, ""]);
  for (const { name, summary } of COMMANDS) {
    assertMatch(
      help.stdout,
      new RegExp(`^ {2}${name} +${RegExp.escape(summary.split(" ")[0]!)}`, "m"),
    );
  }
});

Deno.test("main: without a command the help goes to standard error, and the exit code is 2", async () => {
  const { code, stdout, stderr } = await runDeno({ file: CLI });
  assertEquals([code, stdout], [2, ""]);
  assertStringIncludes(stderr, "Usage:\n  validmind-auth <command> [flags]\n");
});

async function printed(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runMain(...args);
  assertEquals([code, stderr], [0, ""]);
  return stdout;
}

Deno.test("main: help of a command names its flags, exit codes and an example, in 80 columns", async () => {
  const texts = [await printed("--help")];
  for (const { name, flags } of COMMANDS) {
    const text = await printed(name, "--help");
    for (const flag of [...flags, "help"]) {
      assertMatch(text, new RegExp(`^ {2}(-., | {4})--${flag}( [A-Z=:]+)?( {2,}\\S|$)`, "m"));
    }
    assertMatch(text, /^ {2}4 {2,}a person has to sign in/m);
    assertStringIncludes(text, `  validmind-auth ${name}`);
    texts.push(text);
  }
  for (const text of texts) {
    assert(!/ $/m.test(text), "spaces at the end of a line");
    // But lines to copy, and paths.
    const lines = text.split("\n").filter((line) => !/^ {2}validmind-auth|^~\/\S+$/.test(line));
    assertEquals(lines.filter((line) => line.length > 80), []);
  }
});

Deno.test("main: an error names the help of the command; with --json it is one line of JSON", async () => {
  const text = await runMain("token", "--heder");
  assertEquals([text.code, text.stdout], [2, ""]);
  assertMatch(text.stderr, /^error \(usage\): Cannot .* it is not known\./);
  assertStringIncludes(text.stderr, "Try: validmind-auth token --help\n");
  const { error } = JSON.parse((await runMain("token", "--json", "--heder")).stderr);
  assertEquals([error.code, error.hint], ["usage", "Try: validmind-auth token --help"]);
});
