import { assert } from "@std/assert";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { tokensOf } from "../../support/entries.ts";
import { cliWorld } from "../../client/cli/cli_world.ts";

Deno.test("secrecy: no command but token prints a piece of a token, whatever becomes of it", async () => {
  await using world = await cliWorld({ jwtAccessTokens: true });
  await world.signIn();
  await Deno.writeTextFile(`${world.home}/to.json`, '{"path": "${HOME}/new/tokens.json"}');
  const secrets = new Set<string>();
  // All of a token but the part that many share.
  const collect = () =>
    tokensOf(world.stored()).forEach((token) =>
      secrets.add(token.slice(token.lastIndexOf(".") + 1))
    );
  collect();
  const texts: string[] = [];
  const run = async (...args: string[]) => {
    const { stdout, stderr } = await world.run(args);
    texts.push(stdout, stderr);
  };
  for (const json of [[], ["--json"]]) {
    for (const name of ["login", "status", "list", "doctor", "backends", "permissions"]) {
      await run(name, ...json);
    }
    await run("migrate", "--from", "file", "--to", "file", "--to-options", "to.json", ...json);
  }
  texts.push((await world.run(["token", "--refresh"])).stderr);
  collect();
  world.provider.revokeGrants();
  texts.push((await world.run(["token", "--refresh", "--json"])).stderr);
  await world.signIn();
  collect();
  await run("logout", "--revoke");
  assert(secrets.size > 6); // an ID token of the same second has the same signature
  for (const text of texts) assertNoSecret(text, secrets);
});
