import { assertEquals } from "@std/assert";
import { DENO, startDeno } from "../../../support/deno_process.ts";
import { isPosix } from "../../../support/sandbox.ts";
import { AS_PROCESS, CLI, cliTest, ENDED } from "../cli_world.ts";

/** A program that prints what it got, and ends with 7. */
const REPORT = `const input = await new Response(Deno.stdin.readable).text();
  const names = ["VM_ACCESS_TOKEN", "MINE"];
  console.log(JSON.stringify([...names.map((name) => Deno.env.get(name)), Deno.args, input]));
  console.error("to standard error");
  Deno.exit(7);`;
const PROGRAM = `${DENO} eval --ext=ts '${REPORT}'`;

cliTest("exec: the program has token, streams and its own exit code", async (world) => {
  await world.signIn();
  await world.amend({ expires_at: ENDED });
  const run = { flags: AS_PROCESS, stdin: "from outside" };
  const { json } = await world.says(`exec -- ${PROGRAM} --json -h`, 7, "to standard error", run);
  const { access_token } = world.stored(); // which was refreshed before
  assertEquals(json, [access_token, null, ["--json", "-h"], "from outside"]);
  // Dashes are optional.
  const other = await world.says(`exec --variable MINE ${PROGRAM}`, 7, { flags: AS_PROCESS });
  assertEquals(other.json, [null, access_token, [], ""]);
});

cliTest("exec: what cannot be run has an exit code of its own", async (world) => {
  const login = "error (login_required): Cannot";
  assertEquals((await world.says(`exec -- ${PROGRAM}`, 4, login)).stdout, "");
  await world.signIn();
  await world.says("exec no-such-program", 127, "Cannot run no-such-program: it is not");
  await Deno.writeTextFile(`${world.home}/data`, "text", { mode: 0o600 });
  if (isPosix) await world.says(`exec ${world.home}/data`, 126, "the system does not start it");
  await world.says("exec", 2, "none is given");
  await world.says("exec --variable A=B x", 2, "Cannot use --variable");
  const flags = ["--allow-env", "--allow-read"];
  await world.says("exec -- some-program", 1, "--allow-run=some-program", { flags });
});

cliTest("exec: hands SIGTERM on, and waits for the program's own end", async (world) => {
  await world.signIn();
  const code = `Deno.addSignalListener("SIGTERM", () => { console.log("told"); Deno.exit(9); });
    console.log("ready"); setInterval(() => {}, 1000);`;
  const args = ["exec", "--", DENO, "eval", "--ext=ts", code];
  await using running = startDeno({ file: CLI, flags: AS_PROCESS, args, env: world.env });
  assertEquals(await running.line(), "ready");
  Deno.kill(running.pid, "SIGTERM");
  assertEquals(await running.line(), "told");
  assertEquals((await running.end()).code, 9);
}, { ignore: !isPosix });
