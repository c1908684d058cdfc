import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import {
  clearOidcCredentials,
  createSession,
  credentialKey,
  FileCredentialsBackend,
  init,
  requiredPermissions,
} from "@validmind/auth";
import { runDeno } from "../../support/deno_process.ts";
import { entry } from "../../support/entries.ts";
import { withEnv } from "../../support/own_env.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { replace } from "../../support/replace.ts";
import { withTempHome } from "../../support/temp_home.ts";
import { startTrackingApi } from "../../support/tracking_api.ts";

const OIDC = { issuer: "https://login.example.com", clientId: "my-app" };
const OTHER = { issuer: "https://other.example.com", clientId: "two" };

/** Runs a test in a home folder with this settings file, and with a sign-in of each client. */
async function withSettings(
  document: unknown,
  run: (home: string) => Promise<void>,
): Promise<void> {
  await withTempHome(async (home) => {
    for (const { issuer, clientId } of [OIDC, OTHER]) {
      const key = credentialKey(issuer, clientId);
      await new FileCredentialsBackend().put(key, entry({ issuer, client_id: clientId }));
    }
    const text = typeof document === "string" ? document : JSON.stringify(document);
    const folder = join(home, ".config", "validmind-auth");
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(join(folder, "settings.json"), text, { mode: 0o600 });
    await run(home);
  });
}

Deno.test("settings in code: init() works with nothing else, and clear ends that sign-in", async () => {
  await using api = await startTrackingApi();
  await withSettings({ ...OIDC, apiHost: api.apiHost, model: "cl123" }, async () => {
    const session = await init({ issuer: undefined }); // as a variable that is not set may give it
    assertEquals([session.issuer, session.model], [OIDC.issuer, "cl123"]);
    await session.close();
    assertEquals((await clearOidcCredentials(OTHER)).keys.length, 1);
    await clearOidcCredentials();
    const { keys } = await clearOidcCredentials();
    assertEquals(keys, [], "it is gone already");
    await rejectsWith("login_required", () => init({ interactive: false }), OIDC.issuer);
  });
});

Deno.test("settings in code: a profile of the file, and the nearest one for a slip", async () => {
  const document = { ...OIDC, profiles: { staging: { ...OTHER, flow: "browser" } } };
  await withSettings(document, async () => {
    const needs = await requiredPermissions({ profile: "staging" }, { call: "createSession" });
    const host = "other.example.com:443";
    assertEquals(needs.some((need) => "host" in need && need.host === host), true);
    const run = () => createSession({ profile: "stagin" });
    await rejectsWith("settings_invalid", run, 'Did you mean "staging"?');
  });
});

Deno.test("settings in code: the store that it names", async () => {
  await withSettings({ ...OIDC, backend: "memory" }, async () => {
    const run = () => createSession({ interactive: false });
    await rejectsWith("login_required", run, "Nothing is stored beyond this process");
  });
});

Deno.test("settings in code: a damaged file is an error; VM_AUTH_CONFIG turns it off", async () => {
  await withSettings('{"issuer": 5}', async (home) => {
    await rejectsWith("settings_invalid", () => createSession(OIDC), `${home}`, '"issuer"');
    await withEnv({ VM_AUTH_CONFIG: "" }, async () => {
      assertEquals((await createSession(OIDC)).issuer, OIDC.issuer);
    });
  });
});

Deno.test("settings in code: a file that may not be read is passed over, and named as optional", async () => {
  await withSettings({ ...OIDC, apiHost: "https://api.example.com/" }, async (home) => {
    const needs = await requiredPermissions(OIDC, { call: "createSession" });
    const path = join(home, ".config", "validmind-auth", "settings.json");
    const own = needs.find((need) => "path" in need && need.path === path);
    assertEquals([own?.name, own?.need], ["read", "optional"]);
    const { stdout, stderr } = await runDeno({
      code: `import { createSession } from "@validmind/auth";
        const { apiHost } = await createSession(${JSON.stringify(OIDC)});
        console.log("host:", apiHost);`,
      flags: ["--allow-env", `--allow-read=${home}/.validmind/credentials.json`],
      env: { HOME: home, USERPROFILE: home },
    });
    assertStringIncludes(stdout, "host: undefined", stderr);
    const { openSync } = Deno; // as an older Deno denies the target of a link
    using _ = replace(Deno, "openSync", (at, options) => {
      if (at === path) throw new Deno.errors.NotCapable("denied");
      return openSync(at, options);
    });
    assertEquals((await createSession(OIDC)).apiHost, undefined);
  });
});
