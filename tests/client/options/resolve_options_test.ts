import { assert, assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import type { InitOptions, SessionOptions, SignInFlow } from "../../../client/session_options.ts";
import {
  checkCallOptions,
  checkSessionOptions,
  resolveOptions,
} from "../../../client/options/resolve_options.ts";
import type { ClearOptions, PostOptions } from "../../../client/session.ts";
import { withTempHome } from "../../support/temp_home.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const OIDC = { issuer: "https://login.example.com", clientId: "my-app" };
const OIDC_ENV = { VM_OIDC_ISSUER: "https://env.example.com", VM_OIDC_CLIENT_ID: "env-app" };
const KEY_ENV = { VM_API_KEY: "env-key", VM_API_SECRET: "env-secret" };
const DEFAULT_SCOPE = "openid profile email offline_access";

async function resolve(options: SessionOptions, env: Record<string, string> = {}) {
  return await withTempHome(() => {
    for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
    return resolveOptions(options, "test");
  });
}

async function resolveInit(options: InitOptions, env: Record<string, string> = {}) {
  return await withTempHome(() => {
    for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
    const { modelOptions, ...rest } = resolveOptions(
      checkSessionOptions(options, "test", true),
      "test",
      true,
    );
    return { ...rest, ...modelOptions! };
  });
}

Deno.test("resolveOptions: options alone", async () => {
  const options = { ...OIDC, scope: " openid  email ", audience: "'api/'", timeoutMs: 5 };
  const { identity, runtime, apiHost } = await resolve(options);
  assertEquals(identity, { kind: "oidc", ...OIDC, scope: "openid email", audience: "api/" });
  assertEquals([runtime.timeoutMs, apiHost], [5, undefined]);
});

Deno.test("resolveOptions: defaults", async () => {
  const { identity, runtime } = await resolve(OIDC);
  assertEquals(identity, { kind: "oidc", ...OIDC, scope: DEFAULT_SCOPE });
  assertEquals([runtime.timeoutMs, runtime.now], [30_000, Date.now]);
});

Deno.test("resolveOptions: a clock that is given measures the waits, too", async () => {
  const now = () => 5;
  const given = await resolve({ ...OIDC, now });
  assertEquals([given.runtime.now, given.runtime.elapsed], [now, now]);
  const { elapsed } = (await resolve(OIDC)).runtime;
  assert(elapsed() <= performance.now(), "not since the epoch");
});

Deno.test("resolveOptions: all from the environment", async () => {
  const { identity, apiHost, runtime } = await resolve({}, {
    ...OIDC_ENV,
    VM_OIDC_SCOPE: "openid",
    VM_OIDC_AUDIENCE: "env-api",
    VM_API_HOST: "https://host.example.com/v1",
    VM_API_TIMEOUT: "2.5",
  });
  assertEquals(identity, {
    kind: "oidc",
    issuer: "https://env.example.com",
    clientId: "env-app",
    scope: "openid",
    audience: "env-api",
  });
  assertEquals([apiHost, runtime.timeoutMs], ["https://host.example.com/v1/", 2500]);
});

Deno.test("resolveOptions: options win over the environment", async () => {
  const options = {
    ...OIDC,
    scope: "a",
    audience: "b",
    apiHost: "https://o.example/",
    timeoutMs: 1,
  };
  const { identity, apiHost, runtime } = await resolve(options, {
    ...OIDC_ENV,
    VM_OIDC_SCOPE: "x",
    VM_OIDC_AUDIENCE: "y",
    VM_API_URL: "https://env.example.com/",
    VM_API_TIMEOUT: "9",
  });
  assertEquals(identity, { kind: "oidc", ...OIDC, scope: "a", audience: "b" });
  assertEquals([apiHost, runtime.timeoutMs], ["https://o.example/", 1]);
});

Deno.test("resolveOptions: empty variables are as good as unset", async () => {
  const { identity } = await resolve({ ...OIDC }, {
    VM_OIDC_SCOPE: "",
    VM_OIDC_AUDIENCE: "",
    VM_API_KEY: "",
    VM_API_TIMEOUT: "",
    VM_API_HOST: "",
  });
  assertEquals(identity, { kind: "oidc", ...OIDC, scope: DEFAULT_SCOPE });
});

Deno.test("resolveOptions: blank variables are as good as unset", async () => {
  const names = ["SCOPE", "AUDIENCE", "FLOW", "INTERACTIVE", "PROFILE"].map((n) => `VM_OIDC_${n}`);
  const blank = [...names, "VM_API_KEY", "VM_API_SECRET", "VM_API_TIMEOUT", "VM_API_HOST"];
  const env = Object.fromEntries(blank.map((name) => [name, " \t"]));
  const { identity, apiHost, interactive, runtime } = await resolve({ ...OIDC }, env);
  assertEquals(identity, { kind: "oidc", ...OIDC, scope: DEFAULT_SCOPE });
  assertEquals([apiHost, interactive, runtime.timeoutMs], [undefined, true, 30_000]);
});

Deno.test("resolveOptions: an empty audience means none, whatever the variable says", async () => {
  for (const audience of ["", " "]) {
    const { identity } = await resolve({ ...OIDC, audience }, { VM_OIDC_AUDIENCE: "env-api" });
    assertEquals(identity, { kind: "oidc", ...OIDC, scope: DEFAULT_SCOPE });
  }
});

const HOSTS: [options: SessionOptions, env: Record<string, string>, host: string | undefined][] = [
  [{ apiHost: "https://a.example" }, {}, "https://a.example/"],
  [{ apiHost: "https://a.example/v1" }, {}, "https://a.example/v1/"],
  [{ apiHost: " https://a.example/v1/ " }, {}, "https://a.example/v1/"],
  [{ apiHost: "http://localhost:5000/api" }, {}, "http://localhost:5000/api/"],
  [{ apiHost: "https://a.example/", apiUrl: "https://b.example/" }, {}, "https://b.example/"],
  [{ apiHost: "https://a.example/" }, { VM_API_URL: "https://c.example/" }, "https://a.example/"],
  [
    {},
    { VM_API_URL: "https://c.example/", VM_API_HOST: "https://d.example/" },
    "https://c.example/",
  ],
  [{}, { VM_API_HOST: "https://d.example/" }, "https://d.example/"],
  [{}, {}, undefined],
];

for (const [options, env, host] of HOSTS) {
  Deno.test(`resolveOptions: the host of ${JSON.stringify({ ...options, ...env })}`, async () => {
    assertEquals((await resolve({ ...OIDC, ...options }, env)).apiHost, host);
  });
}

Deno.test("resolveOptions: credentials as options are not held against variables", async () => {
  assertEquals((await resolve(OIDC, KEY_ENV)).identity.kind, "oidc");
  const key = { apiKey: "k", apiSecret: "s" };
  assertEquals((await resolve(key, OIDC_ENV)).identity, { kind: "api_key", ...key });
  const half = await resolve({ issuer: OIDC.issuer }, { ...OIDC_ENV, ...KEY_ENV });
  assertEquals(half.identity, {
    kind: "oidc",
    issuer: OIDC.issuer,
    clientId: "env-app",
    scope: DEFAULT_SCOPE,
  });
});

Deno.test("resolveOptions: a key and a secret from different places", async () => {
  const { identity } = await resolve({ apiKey: "k" }, KEY_ENV);
  assertEquals(identity, { kind: "api_key", apiKey: "k", apiSecret: "env-secret" });
  const fromEnv = (await resolve({}, KEY_ENV)).identity;
  assertEquals(fromEnv, { kind: "api_key", apiKey: "env-key", apiSecret: "env-secret" });
});

Deno.test("resolveOptions: half an API key in the environment does not disturb OIDC", async () => {
  assertEquals((await resolve({}, { ...OIDC_ENV, VM_API_KEY: "k" })).identity.kind, "oidc");
});

Deno.test("resolveOptions: a long timeout is cut to what timers can wait", async () => {
  for (const timeoutMs of [Infinity, 1e12]) {
    assertEquals((await resolve({ ...OIDC, timeoutMs })).runtime.timeoutMs, 2 ** 31 - 1);
  }
  const { runtime } = await resolve(OIDC, { VM_API_TIMEOUT: "1e9" });
  assertEquals(runtime.timeoutMs, 2 ** 31 - 1);
});

Deno.test("init options: the model's options and defaults", async () => {
  const all = { ...OIDC, model: "m", document: "d", monitoring: true };
  const given = await resolveInit(all, { VM_API_MODEL: "env-model" });
  assertEquals([given.model, given.document, given.monitoring], ["m", "d", true]);
  assertEquals(given.apiHost, "http://localhost:5000/api/v1/tracking/");
  const defaults = await resolveInit(OIDC, { VM_API_MODEL: "env-model" });
  assertEquals(defaults.model, "env-model");
  assertEquals([defaults.monitoring, "document" in defaults], [false, false]);
});

Deno.test('init options: apiKey "..." takes all from the environment', async () => {
  const notebook = {
    apiKey: "...",
    apiSecret: "...",
    apiHost: "...",
    apiUrl: "https://ignored.example/",
    model: "...",
    issuer: "https://ignored.example",
    clientId: "...",
    audience: "...",
  };
  const env = { ...KEY_ENV, VM_API_HOST: "https://env.example.com/", VM_API_MODEL: "env-model" };
  const key = await resolveInit(notebook, env);
  assertEquals(key.identity, { kind: "api_key", apiKey: "env-key", apiSecret: "env-secret" });
  assertEquals([key.apiHost, key.model], ["https://env.example.com/", "env-model"]);
  const oidc = await resolveInit({ ...notebook, document: "d" }, {
    ...OIDC_ENV,
    VM_API_MODEL: "env-model",
  });
  assertEquals(oidc.identity.kind === "oidc" && oidc.identity.issuer, "https://env.example.com");
  assertEquals(oidc.document, "d");
});

const INTERACTIVE: [option: boolean | undefined, variable: string | undefined, result: boolean][] =
  [
    [undefined, undefined, true],
    [undefined, "", true],
    [undefined, "0", false],
    [undefined, "false", false],
    [undefined, " No ", false],
    [undefined, "1", true],
    [undefined, "YES", true],
    [true, "0", true],
    [false, "1", false],
    [true, "nonsense", true],
    [false, "nonsense", false],
  ];

for (const [interactive, variable, result] of INTERACTIVE) {
  Deno.test(`resolveOptions: interactive ${interactive}, variable "${variable}"`, async () => {
    const options = { ...OIDC, ...(interactive !== undefined && { interactive }) };
    const env: Record<string, string> = variable === undefined
      ? {}
      : { VM_OIDC_INTERACTIVE: variable };
    assertEquals((await resolve(options, env)).interactive, result);
  });
}

const FLOW: [option: SignInFlow | undefined, variable: string, flow: string | undefined][] = [
  [undefined, "", undefined],
  [undefined, " ", undefined],
  [undefined, "auto", undefined],
  [undefined, "device", "device"],
  [undefined, " browser ", "browser"],
  ["device", "browser", "device"],
  ["auto", "browser", undefined],
  ["device", "nonsense", "device"],
];

for (const [flow, variable, result] of FLOW) {
  Deno.test(`resolveOptions: flow ${flow}, variable "${variable}"`, async () => {
    const options = { ...OIDC, ...(flow !== undefined && { flow }) };
    const { identity } = await resolve(options, { VM_OIDC_FLOW: variable });
    assertEquals((identity as { flow?: string }).flow, result);
  });
}

Deno.test("resolveOptions: an API key asks nobody, so the variable is not read", async () => {
  const key = { apiKey: "k", apiSecret: "s" };
  assertEquals((await resolve(key, { VM_OIDC_INTERACTIVE: "nonsense" })).interactive, false);
});

Deno.test("checkCallOptions takes what fits, and refuses the rest with the client's error", async () => {
  const types = { name: "text", flag: "boolean" } as const;
  checkCallOptions("test", { name: "x", flag: undefined }, types);
  for (const options of [null, "name", ["name"], { Name: "x" }, { name: " " }, { flag: "no" }]) {
    const run = () => Promise.try(() => checkCallOptions("test", options, types));
    await rejectsWith("invalid_options", run, "Cannot test: ");
  }
});

Deno.test("Session.clear refuses what it does not know, before anything is touched", async () => {
  await using world = await scriptedProviderWorld();
  const backend = new SpyBackend();
  const session = await createSession({ ...world.options, credentialsBackend: backend });
  backend.calls.length = 0;
  const bad: unknown[] = [null, { revoked: true }, { revoke: "yes" }, { all: true }];
  for (const options of bad) {
    const run = () => session.clear(options as ClearOptions);
    await rejectsWith("invalid_options", run, "Cannot clear the session");
  }
  assertEquals([backend.calls, (await session.status()).signedIn], [[], true]);
});

Deno.test("Session.post refuses what it does not know, before anything is sent", async () => {
  await using world = await scriptedProviderWorld();
  const session = await createSession(world.options);
  const bad: unknown[] = [null, { body: "x" }, { params: "a=1" }, { form: "a" }, { signal: 5 }];
  for (const options of bad) {
    const run = () => session.post("thing", options as PostOptions);
    await rejectsWith("invalid_options", run, "Cannot POST");
  }
  assertEquals(world.api.requests, []);
});
