import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { hasTerminal } from "../../../support/terminal.ts";
import { cliWorld, runInCliTerminal } from "../cli_world.ts";

Deno.test({
  name: "token: tells in a terminal that it waits for another process",
  ignore: !hasTerminal,
  async fn() {
    await using world = await cliWorld();
    const { access_token } = await world.signIn();
    await world.amend({ expires_at: "2020-01-01T00:00:00Z" });
    const told = Promise.withResolvers<void>();
    let running: ReturnType<typeof runInCliTerminal> | undefined;
    await world.backend.withLock(world.key, async () => {
      running = runInCliTerminal(world, ["token"], {
        onText: (text) => {
          if (text.includes("waiting for it …")) told.resolve();
        },
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
