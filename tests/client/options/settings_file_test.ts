import { quoteArgument } from "../../../backends/common/runtime.ts";
import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import {
  clearOidcCredentials,
  createSession,
  credentialKey,
  FileCredentialsBackend,
  init,
  type InitOptions,
  MemoryCredentialsBackend,
  requiredPermissions,
} from "@validmind/auth";
import { HOME_VARIABLE } from "../../../backends/common/environment.ts";
import { runDeno } from "../../support/deno_process.ts";
import { entry } from "../../support/entries.ts";
import { setVariables, withEnv } from "../../support/own_env.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { withTempHome } from "../../support/temp_home.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { startTrackingApi } from "../../support/tracking_api.ts";

const OIDC = { issuer: "https://login.example.com", clientId: "my-app" };
const OTHER = { issuer: "https://other.example.com", clientId: "two" };

/** Runs a test in a home folder with this settings file, and with a sign-in of each client. */
async function withSettings(document: unknown, run: (home: string) => Promise<void>) {
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

Deno.test("settings in code: an error shows ten profiles, and no control character of theirs", async () => {
  const names = Array.from({ length: 11 }, (_, at) => `\u001b[31m\nerror: ${at}`);
  const document = { profiles: Object.fromEntries(names.map((name) => [name, OIDC])) };
  await withSettings(document, async () => {
    for (const profile of [undefined, "staging", "[31merror: 1"]) {
      const error = await assertRejects(() => createSession({ profile }), Error);
      assertMatch(error.message, /^(?!.*: 10)\P{Cc}+$/u);
    }
  });
});

Deno.test("settings in code: the store that it names", async () => {
  await withSettings({ ...OIDC, backend: "memory" }, async () => {
    const run = () => createSession({ interactive: false });
    await rejectsWith("login_required", run, "Nothing is stored beyond this process");
  });
});

const sealed = (path: string) => ({
  backend: "encrypted",
  backendOptions: { backend: { name: "file", options: { path } }, key: { env: "TEST_KEY" } },
});
const VAULT = { address: "https://vault.example.com", path: "users/anna" };
/** Stores, and whether their file is the one beside the settings. */
const STORES: [store: object, isBeside: boolean][] = [
  [{ backend: "file", backendOptions: { path: "t.json" } }, true],
  [{ backend: "kv", backendOptions: { path: "t.json" } }, true],
  [{ backend: "kv", backendOptions: { path: ":memory:" } }, false],
  [{ backend: "keychain", backendOptions: { lockFolder: "t.json" } }, true],
  [{ backend: "vault", backendOptions: { ...VAULT, caCert: "t.json" } }, true],
  [sealed("t.json"), true],
  [{
    backend: "fallback",
    backendOptions: { backends: [{ name: "file", options: { path: "t.json" } }] },
  }, true],
  [sealed("${HOME}/t.json"), false],
];

Deno.test("settings in code: a relative file of a store is beside the settings", async () => {
  for (const [store, isBeside] of STORES) {
    await withSettings({ profiles: { p: { ...OIDC, ...store } } }, async (home) => {
      const needs = await requiredPermissions({ profile: "p" }, { call: "createSession" });
      const folder = join(home, ".config", "validmind-auth");
      const paths = needs.flatMap((need) => "path" in need ? `${need.path}` : []);
      const isNamed = paths.some((one) => one.startsWith(folder) && !one.endsWith("settings.json"));
      assertEquals(isNamed, isBeside, JSON.stringify(store));
    });
  }
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
  });
});

/** What a person and a shell have set, where nobody has named an API for the sign-in. */
const UNNAMED: [
  about: string,
  options: InitOptions,
  settings: unknown,
  env: Record<string, string>,
][] = [
  ["nothing but the sign-in", OIDC, {}, {}],
  ["settings of another client", OIDC, { ...OTHER, apiHost: "https://api.example.com/" }, {}],
  [
    "settings beside another client id",
    {},
    { ...OIDC, apiHost: "https://api.example.com/" },
    { VM_OIDC_CLIENT_ID: "another" },
  ],
  ["a profile without one", { profile: "two" }, { profiles: { two: OIDC } }, {}],
  ["a profile beside the shell's API", { profile: "two" }, { profiles: { two: OIDC } }, {
    VM_API_HOST: "https://staging.example.com/",
  }],
  ["a key alone", { apiKey: "k", apiSecret: "s" }, {}, {}],
];

for (const [about, options, settings, env] of UNNAMED) {
  Deno.test(`init sends no token to a default API: ${about}`, async () => {
    await withSettings(settings, async () => {
      setVariables(env);
      const fetch = spyFetch(() => Response.json({}));
      const run = () => init({ model: "m", fetch, ...options });
      await rejectsWith("api_host_missing", run, "Give apiHost", "administrator");
      assertEquals(fetch.urls, []);
    });
  });
}

Deno.test("init takes the API that settings name alone, beside a sign-in of the variables", async () => {
  await using api = await startTrackingApi();
  await withSettings({ apiHost: api.apiHost }, async () => {
    setVariables({ VM_OIDC_ISSUER: OIDC.issuer, VM_OIDC_CLIENT_ID: OIDC.clientId });
    assertEquals((await init({ model: "cl123" })).apiHost, api.apiHost);
    await clearOidcCredentials(); // or a later sign-out would end this session, in a home that is gone
  });
});

/** A class of a person's own, by whose name a file may allow it. */
class TeamStore extends MemoryCredentialsBackend {}

const FILE = { VM_OIDC_CREDENTIALS_BACKEND: "file" };
const ONLY_STORES = { backends: ["vault", "file", "TeamStore"] };
const ONLY_ISSUERS = { issuers: [`${OIDC.issuer}/`] };

/** What an administrator allows, and a call by options and variables, with what it names else. */
const LIMITED: [
  only: Record<string, unknown>,
  options: InitOptions,
  env: Record<string, string>,
  refused?: string,
][] = [
  [ONLY_STORES, OIDC, {}],
  [ONLY_STORES, OIDC, FILE],
  [ONLY_STORES, { ...OIDC, credentialsBackend: new TeamStore() }, {}],
  [ONLY_STORES, { ...OIDC, credentialsBackend: new MemoryCredentialsBackend() }, {}, "memory"],
  [ONLY_STORES, OIDC, { VM_OIDC_NO_PERSIST: "1" }, "memory"],
  [{ backends: [] }, OIDC, FILE, "file"],
  [ONLY_ISSUERS, OIDC, {}],
  [ONLY_ISSUERS, OTHER, {}, OTHER.issuer],
  [ONLY_ISSUERS, {}, {
    VM_OIDC_ISSUER: OTHER.issuer,
    VM_OIDC_CLIENT_ID: OTHER.clientId,
  }, OTHER.issuer],
  [ONLY_ISSUERS, { apiKey: "k", apiSecret: "s" }, {}],
];

Deno.test("settings: what an administrator's file does not allow is refused, and can be signed out of", async () => {
  for (const [only, options, env, refused] of LIMITED) {
    await withSettings({ only }, async (home) => {
      setVariables(env);
      // A store of the default path would keep the home of the row before.
      const path = join(home, ".validmind", "credentials.json");
      if (env === FILE) {
        setVariables({ VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({ path }) });
      }
      const run = () => createSession({ interactive: false, ...options });
      if (refused !== undefined) {
        await rejectsWith("refused_by_settings", run, refused, `${home}`, "settings.json");
      } else {
        const code = await run().then(() => "signed in", ({ code }) => code);
        assertEquals(["signed in", "login_required"].includes(code), true, code);
      }
      if (options.apiKey === undefined) await clearOidcCredentials(options);
    });
  }
});

const NO_MODULE: unknown[] = [
  { ...OIDC, backend: "./evil.ts:Evil" },
  {
    ...OIDC,
    backend: "fallback",
    backendOptions: { backends: ["data:text/javascript,throw 1:E"] },
  },
  { ...OIDC, profiles: { two: { backend: "/tmp/evil.ts:Evil" } } },
];

Deno.test("settings name no module: what a script may write decides nothing that runs later", async () => {
  for (const document of NO_MODULE) {
    await withSettings(document, async () => {
      const run = () => createSession({ interactive: false });
      await rejectsWith("settings_invalid", run, "names a module");
    });
  }
  // The folder of the tokens, which every script may write, has no settings.
  await withTempHome(async (home) => {
    await Deno.mkdir(`${home}/.validmind`);
    const path = `${home}/.validmind/settings.json`;
    await Deno.writeTextFile(path, JSON.stringify(NO_MODULE[0]), { mode: 0o600 });
    const run = () => createSession({ interactive: false });
    await rejectsWith("missing_api_credentials", run, "no provider is set");
  });
});

Deno.test("settings in code: where no provider is set, the error tells why there is no file", async () => {
  await withTempHome(async (home) => {
    const path = join(home, "moved.json");
    const cases: [words: string, variables: Record<string, string>, unset?: string][] = [
      [`VM_AUTH_CONFIG names ${path}, which is not there.`, { VM_AUTH_CONFIG: path }],
      ["VM_AUTH_CONFIG turns it off.", { VM_AUTH_CONFIG: "" }],
      [`${HOME_VARIABLE} is not set`, {}, HOME_VARIABLE],
      [`${HOME_VARIABLE} is not set to a whole path`, { [HOME_VARIABLE]: "." }],
    ];
    for (const [words, variables, unset] of cases) {
      await withEnv(variables, async () => {
        if (unset) Deno.env.delete(unset);
        for (const options of [{}, { profile: "staging" }]) {
          const run = () => createSession(options);
          await rejectsWith("missing_api_credentials", run, `no settings file: ${words}`);
        }
        await rejectsWith("invalid_options", () => createSession({ clientId: "c" }), words);
      });
    }
    const { message } = await rejectsWith("missing_api_credentials", () => createSession());
    assertEquals(message.includes("settings file"), false, "nobody has named one");
  });
});

/** Signs in by a profile, or shows the error, in a process that may not read the settings. */
const BY_PROFILE = `import { createSession } from "@validmind/auth";
  const options = JSON.parse(Deno.args[0]);
  const error = await createSession({ interactive: false, ...options }).catch((error) => error);
  console.log(error.code ?? "signed in", error.message);`;

Deno.test("a profile whose settings may not be read signs nobody in at the shell's provider", async () => {
  const document = { profiles: { staging: OTHER } };
  await withSettings(document, async (home) => {
    const env = { HOME: home, USERPROFILE: home, VM_OIDC_NO_PERSIST: "1" };
    const shell = { VM_OIDC_ISSUER: OIDC.issuer, VM_OIDC_CLIENT_ID: OIDC.clientId };
    const run = async (options: InitOptions, flags: string[], more = {}) => {
      const args = [JSON.stringify(options)];
      const process = { code: BY_PROFILE, args, flags, env: { ...env, ...more } };
      return (await runDeno(process)).stdout;
    };
    const path = join(home, ".config", "validmind-auth", "settings.json");
    const byName = await run({ profile: "staging" }, ["--allow-env"], shell);
    assertStringIncludes(byName, "permission_required Cannot sign in: the profile staging may be");
    assertStringIncludes(byName, quoteArgument(`--allow-read=${path}`));
    const byVariable = await run({}, ["--allow-env"], { ...shell, VM_OIDC_PROFILE: "staging" });
    assertStringIncludes(byVariable, "permission_required");
    const isLabel = await run({ ...OIDC, profile: "staging" }, ["--allow-env"]);
    assertStringIncludes(isLabel, "login_required");
    const nobody = await run({}, ["--allow-env"]);
    assertStringIncludes(nobody, "missing_api_credentials Cannot sign in: no provider is set.");
    assertStringIncludes(nobody, `Cannot use the settings file ${path}: Deno does not permit it.`);
  });
});
