import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { toFileUrl } from "@std/path";
import { captureTerminal, hasTerminal } from "../../support/terminal.ts";
import { CLI, type CliWorld, cliWorld } from "./cli_world.ts";

/** The command line in a terminal, which its three streams are. */
async function inTerminal(world: CliWorld, args: string[], onText?: (text: string) => void) {
  const code = `import { runCli } from ${JSON.stringify(toFileUrl(CLI).href)};
    Deno.exit(await runCli(Deno.args));`;
  return await captureTerminal({
    code,
    args,
    flags: ["-A"],
    columns: 120,
    env: world.env,
    ...(onText !== undefined && { onText }),
  });
}

Deno.test({
  name: "progress: migrate counts in a terminal, and takes the line away before the result",
  ignore: !hasTerminal,
  async fn() {
    await using world = await cliWorld();
    await world.signIn();
    const path = `${world.home}/to.json`;
    await Deno.writeTextFile(path, JSON.stringify({ path: `${world.home}/new/tokens.json` }));
    const args = ["migrate", "--from", "file", "--to", "file", "--to-options", path];
    const { text, code } = await inTerminal(world, args);
    assertEquals(code, 0);
    assertMatch(text, /^Migrating credentials …\r +\rMigrating credentials: 1 of 1 …\r +\rCopied /);

    const { text: quiet } = await inTerminal(world, [...args, "--quiet"]);
    assertEquals(quiet, "");
  },
});

Deno.test({
  name: "progress: token tells in a terminal that it waits for another process",
  ignore: !hasTerminal,
  async fn() {
    await using world = await cliWorld();
    const { access_token } = await world.signIn();
    await world.amend({ expires_at: "2020-01-01T00:00:00Z" });
    const told = Promise.withResolvers<void>();
    let running: ReturnType<typeof inTerminal> | undefined;
    await world.backend.withLock(world.key, async () => {
      running = inTerminal(world, ["token"], (text) => {
        if (text.includes("waiting for it …")) told.resolve();
      });
      await Promise.race([told.promise, running]);
    });
    const { text, code } = await running!;
    assertEquals([code, text.includes(access_token)], [0, false]);
    const { issuer } = world.provider;
    assertStringIncludes(text, `Another process is refreshing the sign-in at ${issuer}; waiting`);
    assertMatch(text, /…\r +\r\S+\r\n$/);
  },
});
