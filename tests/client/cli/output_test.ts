import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { toFileUrl } from "@std/path";
import { captureTerminal } from "../../support/capture_terminal.ts";
import { findDenoDir } from "../../support/run_script.ts";
import { hasTerminal } from "../../support/run_in_terminal.ts";
import { CLI, type CliWorld, cliWorld } from "./cli_world.ts";

async function spawn(world: CliWorld, program: string, args: string[]): Promise<Deno.ChildProcess> {
  const env = { ...world.env, DENO_DIR: await findDenoDir(), PATH: Deno.env.get("PATH") ?? "" };
  const options = { args, env, clearEnv: true, stdout: "piped", stderr: "piped" } as const;
  return new Deno.Command(program, options).spawn();
}

for (const [command, code] of [["--help", 0], ["status", 4]] as const) {
  Deno.test(`output: a pipe that nobody reads costs no error; ${command} keeps its code`, async () => {
    await using world = await cliWorld();
    const args = ["run", "--quiet", "--no-prompt", "-A", CLI, command];
    await using child = await spawn(world, Deno.execPath(), args);
    await child.stdout.cancel(); // long before the program writes
    assertEquals(await child.stderr.text(), "");
    assertEquals((await child.status).code, code);
  });
}

/** Runs the command line in a shell, which can close and redirect its streams. */
async function shell(world: CliWorld, line: string): Promise<{ code: number; stderr: string }> {
  const program = `'${Deno.execPath()}' run --quiet --no-prompt -A '${CLI}'`;
  const child = await spawn(world, "sh", ["-c", line.replace("CLI", program)]);
  const { code, stderr } = await child.output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

const isUnix = Deno.build.os !== "windows";

for (const [closed, code] of [[">&-", 4], [">&- 2>&-", 4], ["2>&-", 4]] as const) {
  Deno.test({
    name: `output: ${closed} is no error`,
    ignore: !isUnix,
    async fn() {
      await using world = await cliWorld();
      assertEquals(await shell(world, `CLI status ${closed}`), { code, stderr: "" });
    },
  });
}

Deno.test({
  name: "output: a full disk is an error, since the token did not arrive",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using world = await cliWorld();
    await world.signIn();
    const { code, stderr } = await shell(world, "CLI token > /dev/full");
    assertEquals(code, 1);
    assertStringIncludes(stderr, "error (output_failed): Cannot write to standard output");
  },
});

Deno.test({
  name: "output: help fits the terminal",
  ignore: !hasTerminal,
  async fn() {
    const code = `import { runCli } from ${JSON.stringify(toFileUrl(CLI).href)};
      Deno.exit(await runCli(["help"]));`;
    for (const columns of [60, 90]) {
      const { text } = await captureTerminal({ code, flags: ["-A"], columns });
      const longest = Math.max(...text.split("\r\n").map((line) => line.length));
      assert(longest <= columns && longest > columns - 12, `${longest} of ${columns}`);
    }
  },
});
