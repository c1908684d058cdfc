import { assertEquals, assertStringIncludes } from "@std/assert";
import { DENO, startDeno } from "../../../support/deno_process.ts";
import { isPosix } from "../../../support/sandbox.ts";
import { AS_PROCESS, CLI, cliTest, cliWorld, ENDED } from "../cli_world.ts";

/** A program that prints what it got, and ends with 7. */
const PROGRAM = [DENO, "eval", "--ext=ts"];
const REPORT = `const input = await new Response(Deno.stdin.readable).text();
  console.log(JSON.stringify([Deno.env.get("VM_ACCESS_TOKEN"), Deno.args, input]));
  console.error("to standard error");
  Deno.exit(7);`;

cliTest("exec: the program has token, streams and its own exit code", async (world) => {
  await world.signIn();
  await world.amend({ expires_at: ENDED });
  const args = ["exec", "--", ...PROGRAM, REPORT, "--json", "-h"];
  const result = await world.run(args, { flags: AS_PROCESS, stdin: "from outside" });
  assertEquals(result.code, 7, result.stderr);
  const { access_token } = world.stored(); // which was refreshed before
  assertEquals(JSON.parse(result.stdout), [access_token, ["--json", "-h"], "from outside"]);
  assertStringIncludes(result.stderr, "to standard error");
});

cliTest("exec: --variable names the variable; dashes are optional", async (world) => {
  await world.signIn();
  const code = `console.log(["MINE", "VM_ACCESS_TOKEN"].map((name) => Deno.env.has(name)))`;
  const args = ["exec", "--variable", "MINE", ...PROGRAM, code];
  const { stdout, stderr } = await world.run(args, { flags: AS_PROCESS });
  assertEquals(stdout, "[ true, false ]\n", stderr);
});

cliTest("exec: without a token no program starts", async (world) => {
  const none = await world.run(["exec", "--", ...PROGRAM, REPORT]);
  assertEquals([none.code, none.stdout], [4, ""]);
  assertStringIncludes(none.stderr, "error (login_required): Cannot");
});

const FAILURES: [args: string[], code: number, words: string][] = [
  [["no-such-program"], 127, "Cannot run no-such-program: it is not"],
  [[], 2, "none is given"],
  [["--variable", "A=B", "x"], 2, "Cannot use --variable"],
];

cliTest("exec: what cannot be run has an exit code of its own", async (world) => {
  await world.signIn();
  for (const [args, code, words] of FAILURES) {
    const result = await world.run(["exec", ...args]);
    assertEquals([result.code, result.stdout], [code, ""]);
    assertStringIncludes(result.stderr, words);
  }
});

cliTest("exec: the program has to be permitted, and the flag is named", async (world) => {
  const flags = ["--allow-env", "--allow-read"];
  const { code, stderr } = await world.run(["exec", "--", "some-program"], { flags });
  assertEquals(code, 1);
  assertStringIncludes(stderr, "--allow-run=some-program");
});

Deno.test({
  name: "exec: hands SIGTERM on, and waits for the program's own end",
  ignore: !isPosix,
  async fn() {
    await using world = await cliWorld();
    await world.signIn();
    const code = `Deno.addSignalListener("SIGTERM", () => { console.log("told"); Deno.exit(9); });
      console.log("ready"); setInterval(() => {}, 1000);`;
    const args = ["exec", "--", ...PROGRAM, code];
    await using running = startDeno({ file: CLI, flags: AS_PROCESS, args, env: world.env });
    assertEquals(await running.line(), "ready");
    Deno.kill(running.pid, "SIGTERM");
    assertEquals(await running.line(), "told");
    assertEquals((await running.end()).code, 9);
  },
});
