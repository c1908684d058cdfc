import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { createSession, FileCredentialsBackend, type SessionOptions } from "@validmind/auth";
import { DENO, runProcess } from "../../support/deno_process.ts";
import { startOidcProvider } from "../../support/oidc_provider.ts";
import { OwnEnv } from "../../support/own_env.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { tempDir } from "../../support/temp_home.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;

interface Case {
  name: string;
  options?: SessionOptions;
  variables?: (folder: string) => Record<string, string>;
}

const CASES: Case[] = [
  { name: "the default store" },
  { name: "a profile", options: { profile: "reviewer+2" } },
  { name: "another scope", options: { scope: "openid offline_access" } },
  { name: "tokens that are bound to a key", options: { dpop: true } },
  {
    name: "a file that the environment names",
    variables: (folder) => ({
      VM_OIDC_CREDENTIALS_BACKEND: "file",
      VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({ path: join(folder, "named.json") }),
    }),
  },
];

for (const { name, options = {}, variables } of CASES) {
  Deno.test({
    name: `the command in login_required signs in there: ${name}`,
    ignore: Deno.build.os === "windows",
    async fn() {
      await using home = await tempDir();
      await using provider = await startOidcProvider({
        interval: 0.05,
        configure: (config) => {
          Object.assign(config.features!, { dPoP: { enabled: true } });
        },
      });
      provider.autoApprove = true;
      const env = { HOME: home.path, ...variables?.(home.path) };
      using _ = new OwnEnv(env);
      const { issuer, clientId } = provider;
      const signIn = async () => {
        await using session = await createSession({
          issuer,
          clientId,
          interactive: false,
          ...options,
        });
        return (await session.status()).signedIn;
      };
      const { message } = await rejectsWith("login_required", signIn);
      const [, command] = /Sign in with\n {2}(.*)\n/.exec(message)!;
      // Here the module's own settings are those of its repository.
      const runnable = command!.replace("deno run", `'${DENO}' run`)
        .replace("--no-config", `--config '${ROOT}deno.json'`)
        .replace("jsr:@validmind/auth/cli", `'${ROOT}client/cli.ts'`);
      const { code, stderr } = await runProcess(["sh", "-c", runnable], { env });
      assertEquals(code, 0, stderr);
      assertEquals(await signIn(), true);
    },
  });
}

Deno.test("login_required names no command where none leads to the store", async () => {
  await using world = await scriptedProviderWorld();
  const options = { ...world.options, interactive: false };
  const memory = await rejectsWith("login_required", () => createSession(options));
  assertStringIncludes(memory.message, "Nothing is stored beyond this process: run init()");
  await using folder = await tempDir();
  const path = `${folder.path}/c.json`;
  for (const credentialsBackend of [new SpyBackend(), new FileCredentialsBackend({ path })]) {
    const start = () => createSession({ ...options, credentialsBackend });
    const { message } = await rejectsWith("login_required", start);
    assertMatch(message, /Sign in with the program that made the store: run init\(\)/);
    assertEquals((memory.message + message).includes("cli login"), false);
  }
});
