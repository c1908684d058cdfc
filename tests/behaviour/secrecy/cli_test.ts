import type { OidcCredentials } from "@validmind/auth";
import { assert } from "@std/assert";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { SECRETS, tokensOf } from "../../support/entries.ts";
import { cliTest, quoted } from "../../client/cli/cli_world.ts";

const MIGRATE = "migrate --from file --to file --to-options to.json";

cliTest(
  "secrecy: no command but token prints a piece of a token, whatever becomes of it",
  async (world) => {
    await world.signIn();
    world.provider.autoApprove = false; // nobody approves the code that the doctor drops
    await world.write('{"path": "${HOME}/new/tokens.json"}', "to.json");
    const secrets = new Set<string>();
    // All of a token but the part that many share.
    const collect = () =>
      tokensOf(world.stored()).forEach((token) =>
        secrets.add(token.slice(token.lastIndexOf(".") + 1))
      );
    collect();
    const texts: string[] = [];
    for (const json of ["", "--json"]) {
      for (const name of ["login", "status", "list", "doctor", "permissions", MIGRATE]) {
        const { stdout, stderr } = await world.says(`${name} ${json}`, 0);
        texts.push(stdout, stderr);
      }
    }
    texts.push((await world.says("token --refresh", 0)).stderr);
    collect();
    world.provider.revokeGrants();
    texts.push((await world.says("token --refresh --json", 4)).stderr);
    world.provider.autoApprove = true;
    await world.signIn();
    collect();
    const { stdout, stderr } = await world.says("logout --revoke", 0);
    assert(secrets.size > 6); // an ID token of the same second has the same signature
    for (const text of [...texts, stdout, stderr]) assertNoSecret(text, secrets);
  },
  { options: { jwtAccessTokens: true } },
);

/** A key as another program may have stored it: it clears a screen, and forges a line. */
const HOSTILE_KEY = "https://a.example\x1b[2J|app\nRemoved everything\u202e\x9b1m";

cliTest("display: no command hands a stored key's controls to the terminal", async (world) => {
  const { issuer: _, client_id: __, ...entry } = await world.signIn(); // which fit any key
  await world.write('{"path": "${HOME}/new/tokens.json"}', "to.json");
  for (const line of ["list", MIGRATE, "logout --all"]) {
    await world.backend.put(HOSTILE_KEY, entry as OidcCredentials);
    for (const json of ["", "--json"]) {
      const { stdout, stderr } = await world.says(`${line} ${json}`, 0);
      const text = stdout + stderr;
      assert(!/[^\P{C}\n]/u.test(text), JSON.stringify(text));
      assert(!/^Removed everything/m.test(text), text);
      if (json !== "") JSON.parse(stdout);
    }
  }
});

cliTest("display: an error of a backend has no controls and no token", async (world) => {
  const url = new URL("../../../backends/credentials_backend_error.ts", import.meta.url).href;
  const reason = `"\\x1b[2J no access_token=${SECRETS.access}"`;
  const module = await world.write(
    `import { CredentialsBackendError } from "${url}";
    export class Store {
      get() {
        const parts = { action: "read", reason: ${reason}, remedy: "Mend it." };
        throw new CredentialsBackendError("backend_unavailable", parts);
      }
      put() {}
      delete() {}
    }`,
    "store.ts",
  );
  const { stderr } = await world.says(
    `status --backend ${quoted(`${module}:Store`)}`,
    1,
    "Mend it.",
  );
  assert(!/[^\P{C}\n]/u.test(stderr), JSON.stringify(stderr));
  assertNoSecret(stderr);
});
