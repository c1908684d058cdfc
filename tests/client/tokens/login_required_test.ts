import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createSession, FileCredentialsBackend, type SessionOptions } from "@validmind/auth";
import { withEnv } from "../../support/own_env.ts";
import { test } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { tempDir } from "../../support/temp_home.ts";
import { argumentsIn, cliWorld } from "../cli/cli_world.ts";

/** Variables of stores, in a home. */
const store = (kind: string) => (home: string): Record<string, string> => ({
  VM_OIDC_CREDENTIALS_BACKEND: kind,
  VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({ path: `${home}/named.${kind}` }),
});

const CASES: [
  what: string,
  options: SessionOptions,
  variables: (home: string) => Record<string, string>,
][] = [
  ["the default store", {}, () => ({})],
  ["a profile", { profile: "reviewer+2" }, () => ({})],
  ["another scope", { scope: "openid offline_access" }, () => ({})],
  ["tokens that are bound to a key", { dpop: true }, () => ({})],
  ["a file that the environment names", {}, store("file")],
  ["a database that the environment names", {}, store("kv")],
];

for (const [what, options, variables] of CASES) {
  // The command line leaves a store open to the end of its process.
  const shared = { sanitizeResources: false };
  Deno.test(`the command in login_required signs in there: ${what}`, shared, async () => {
    await using world = await cliWorld({
      configure: (config) => void Object.assign(config.features!, { dPoP: { enabled: true } }),
    });
    const env = { ...world.env, ...variables(world.home) };
    const { issuer, clientId } = world.provider;
    const start = () => createSession({ issuer, clientId, interactive: false, ...options });
    await withEnv(env, async () => {
      const { message } = await rejectsWith("login_required", start);
      const [, command] = /Sign in with\n {2}(.*)\n/.exec(message)!;
      assertMatch(command!, /^deno run -A --no-config /);
      assertEquals(command!.includes(" --unstable-kv "), what.startsWith("a database"));
      const { code, stderr } = await world.run(argumentsIn(command!), { env });
      assertEquals(code, 0, stderr);
      await using session = await start();
      assertEquals((await session.status()).signedIn, true);
    });
  });
}

test("login_required names no command where none leads to the store", async (world) => {
  const options = { ...world.options, interactive: false };
  const memory = await rejectsWith("login_required", () => createSession(options));
  assertStringIncludes(memory.message, "Nothing is stored beyond this process: run init()");
  await using folder = await tempDir();
  const path = `${folder.path}/c.json`;
  for (const credentialsBackend of [new SpyBackend(), new FileCredentialsBackend({ path })]) {
    const start = () => createSession({ ...options, credentialsBackend });
    const { message } = await rejectsWith("login_required", start);
    assertMatch(message, /Sign in with the program that made the store: run init\(\)/);
    assert(!`${memory.message}${message}`.includes("cli login"));
  }
});
