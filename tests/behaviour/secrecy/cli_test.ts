import { assert, assertStringIncludes } from "@std/assert";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { SECRETS, tokensOf } from "../../support/entries.ts";
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
    for (const name of ["login", "status", "list", "doctor", "permissions"]) {
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

/** A key as another program may have stored it: it clears a screen, and forges a line. */
const HOSTILE_KEY = "https://a.example\x1b[2J|app\nRemoved everything\u202e\x9b1m";

Deno.test("display: no command hands a stored key's controls to the terminal", async () => {
  await using world = await cliWorld();
  const entry = await world.signIn();
  await Deno.writeTextFile(`${world.home}/to.json`, '{"path": "${HOME}/new/tokens.json"}');
  await world.backend.put(HOSTILE_KEY, { ...entry, issuer: "https://a.example" });
  const commands = [
    ["list"],
    ["migrate", "--from", "file", "--to", "file", "--to-options", "to.json"],
    ["logout", "--all"],
  ];
  for (const args of commands) {
    await world.backend.put(HOSTILE_KEY, { ...entry, issuer: "https://a.example" });
    for (const json of [[], ["--json"]]) {
      const { stdout, stderr } = await world.run([...args, ...json]);
      const text = stdout + stderr;
      assert(!/[^\P{C}\n]/u.test(text), JSON.stringify(text));
      assert(!/^Removed everything/m.test(text), text);
      if (json.length > 0) JSON.parse(stdout);
    }
  }
});

Deno.test("display: an error of a backend has no controls and no token", async () => {
  await using world = await cliWorld();
  const url = new URL("../../../backends/credentials_backend_error.ts", import.meta.url).href;
  const module = `${world.home}/store.ts`;
  const words = `"Cannot read: \\x1b[2J no access_token=${SECRETS.access}. Mend it."`;
  await Deno.writeTextFile(
    module,
    `
      import { CredentialsBackendError } from "${url}";
      export class Store {
        get() {
          throw new CredentialsBackendError("backend_unavailable", ${words});
        }
        put() {}
        delete() {}
      }
    `,
  );
  const { code, stderr } = await world.run(["status", "--backend", `${module}:Store`]);
  assert(code !== 0);
  assertStringIncludes(stderr, "Mend it.");
  assert(!/[^\P{C}\n]/u.test(stderr), JSON.stringify(stderr));
  assertNoSecret(stderr);
});
