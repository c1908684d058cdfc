import { assertEquals, assertStringIncludes } from "@std/assert";
import { quotePosix } from "../../../backends/common/platform.ts";
import { denoCommand, runProcess, spawnDeno } from "../../support/deno_process.ts";
import { CLI, cliTest, type CliWorld, cliWorld } from "./cli_world.ts";

for (const [command, code] of [["--help", 0], ["status", 4]] as const) {
  cliTest(
    `output: a pipe that nobody reads costs no error; ${command} keeps its code`,
    async (world) => {
      const run = { file: CLI, flags: ["-A"], args: [command] };
      await using child = spawnDeno({ ...run, env: world.env });
      await child.stdout.cancel(); // long before the program writes
      assertEquals(await child.stderr.text(), "");
      assertEquals((await child.status).code, code);
    },
  );
}

/** Runs the command line in a shell, which can close and redirect its streams. */
async function shell({ env }: CliWorld, line: string): Promise<{ code: number; stderr: string }> {
  const program = denoCommand({ file: CLI, flags: ["-A"] }).map(quotePosix).join(" ");
  const { code, stderr } = await runProcess(["sh", "-c", line.replace("CLI", program)], { env });
  return { code, stderr };
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
