import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { quotePosix } from "../../../backends/common/platform.ts";
import { hasTerminal } from "../../support/terminal.ts";
import { denoCommand, runDeno, runProcess, spawnDeno } from "../../support/deno_process.ts";
import { CLI, type CliWorld, cliWorld, runInCliTerminal } from "./cli_world.ts";

for (const [command, code] of [["--help", 0], ["status", 4]] as const) {
  Deno.test(`output: a pipe that nobody reads costs no error; ${command} keeps its code`, async () => {
    await using world = await cliWorld();
    const run = { file: CLI, flags: ["-A"], args: [command] };
    await using child = spawnDeno({ ...run, env: world.env });
    await child.stdout.cancel(); // long before the program writes
    assertEquals(await child.stderr.text(), "");
    assertEquals((await child.status).code, code);
  });
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

/** The longest line of a terminal's text. */
function longestLine(text: string): number {
  return Math.max(...text.split(/\r?\n/).map((line) => line.length));
}

function assertFits(text: string, columns: number): void {
  const longest = longestLine(text);
  assert(longest <= columns && longest > columns - 12, `${longest} of ${columns}:\n${text}`);
}

Deno.test({
  name: "output: help fits the terminal, and COLUMNS where it is set",
  ignore: !hasTerminal,
  async fn() {
    const inHelp = async (args: string[], columns: number, env: Record<string, string>) => {
      const { text } = await runInCliTerminal({ env: {} }, args, { columns, env });
      return text;
    };
    for (const columns of [40, 60, 90]) {
      for (const args of [["help"], ["-h"], []]) {
        assertFits(await inHelp(args, columns, {}), columns);
      }
    }
    assertFits(await inHelp(["help"], 120, { COLUMNS: "50" }), 50);
    assertFits(await inHelp(["help"], 50, { COLUMNS: "wide" }), 50);
    assertFits(await inHelp(["help"], 300, {}), 100);
  },
});

Deno.test({
  name: "output: help on standard error fits its terminal, wherever standard output goes",
  ignore: !hasTerminal,
  async fn() {
    const program = denoCommand({ file: CLI, flags: ["-A"] }).map(quotePosix).join(" ");
    const line = `stty cols 40 rows 40; ${program} > /dev/null`;
    const { stdout } = await runProcess(["script", "-qec", line, "/dev/null"]);
    assertFits(stdout, 40);
  },
});

Deno.test("output: help in a pipe has 80 columns, or as many as COLUMNS says", async () => {
  for (
    const [COLUMNS, columns] of [[undefined, 80], ["60", 60], ["-4", 80], ["500", 100]] as const
  ) {
    const env: Record<string, string> = COLUMNS === undefined ? {} : { COLUMNS };
    const run = { file: CLI, flags: ["--allow-env=COLUMNS"], env };
    assertFits((await runDeno({ ...run, args: ["help"] })).stdout, columns);
    assertFits((await runDeno(run)).stderr, columns);
  }
});
