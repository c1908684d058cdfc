import { assertEquals, assertRejects } from "@std/assert";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type { OidcCredentials } from "../../../backends/oidc_credentials_backend.ts";
import { getSession, init } from "../../../client/init.ts";
import type { ClearOidcCredentialsOptions } from "../../../client/session_options.ts";
import { clearOidcCredentials } from "../../../client/init.ts";
import { createSession } from "../../../client/create_session.ts";
import { tempDir, withTempHome } from "../../support/temp_home.ts";
import { oidcProviderWorld, scriptedProviderWorld } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const MODEL = { model: "cl-1" };
const OTHER = { issuer: "https://other.example.com", clientId: "other-app" };
const OTHER_KEY = "https://other.example.com|other-app";
const API_KEY = { apiKey: "test-api-key", apiSecret: "test-api-secret" };

function entry(change: Partial<OidcCredentials> = {}): OidcCredentials {
  return { issuer: OTHER.issuer, client_id: OTHER.clientId, access_token: "access-o", ...change };
}

async function noSession(): Promise<void> {
  await rejectsWith("no_active_session", () => getSession());
}

Deno.test("clearOidcCredentials: the active session's entry, and the session is over", async () => {
  await using world = await oidcProviderWorld();
  const session = await init({ ...world.options, ...MODEL });
  const { access_token } = world.stored();
  world.backend.put(OTHER_KEY, entry());
  const result = await clearOidcCredentials({ revoke: true });
  assertEquals(result, { keys: [world.key], revocation: "revoked" });
  assertEquals(await world.provider.isActive(access_token), false);
  assertEquals(await Array.fromAsync(world.backend.list()), [OTHER_KEY]);
  await noSession();
  await rejectsWith("login_required", () => session.accessToken());
});

Deno.test("clearOidcCredentials: without init, from the environment", async () => {
  await using world = await oidcProviderWorld();
  await withTempHome(async (home) => {
    const credentialsBackend = new FileCredentialsBackend();
    await createSession({ ...world.options, credentialsBackend });
    Deno.env.set("VM_OIDC_ISSUER", `${world.provider.issuer}/`);
    Deno.env.set("VM_OIDC_CLIENT_ID", world.provider.clientId);
    const result = await clearOidcCredentials({ revoke: true });
    assertEquals(result, { keys: [world.key], revocation: "revoked" });
    const text = await Deno.readTextFile(`${home}/.validmind/credentials.json`);
    assertEquals(JSON.parse(text).credentials, {});
  });
});

Deno.test("clearOidcCredentials: without init and without settings", async () => {
  await withTempHome(async () => {
    assertEquals(await clearOidcCredentials(), { keys: [], revocation: "not_requested" });
    Deno.env.set("VM_API_KEY", "k");
    Deno.env.set("VM_API_SECRET", "s");
    const result = await clearOidcCredentials({ revoke: true });
    assertEquals(result, { keys: [], revocation: "nothing_to_revoke" });
  });
});

Deno.test("clearOidcCredentials: a second call finds nothing to do", async () => {
  await using world = await scriptedProviderWorld();
  await withTempHome(async () => {
    await init({ ...world.options, ...MODEL });
    assertEquals((await clearOidcCredentials()).keys, [world.key]);
    assertEquals((await clearOidcCredentials({ revoke: true })).revocation, "nothing_to_revoke");
  });
});

Deno.test("clearOidcCredentials: after init() with an API key, the sign-in of the variables stays", async () => {
  await using world = await scriptedProviderWorld();
  await withTempHome(async () => {
    Deno.env.set("VM_OIDC_ISSUER", OTHER.issuer);
    Deno.env.set("VM_OIDC_CLIENT_ID", OTHER.clientId);
    const backend = new FileCredentialsBackend();
    await backend.put(OTHER_KEY, entry());
    const session = await init({ ...API_KEY, apiHost: world.api.apiHost, ...MODEL });
    assertEquals(await clearOidcCredentials(), { keys: [], revocation: "not_requested" });
    assertEquals(await Array.fromAsync(backend.list()), [OTHER_KEY]);
    assertEquals((await clearOidcCredentials(OTHER)).keys, [OTHER_KEY]);
    assertEquals(getSession(), session);
  });
});

Deno.test("clearOidcCredentials: an API key in the variables is no obstacle", async () => {
  await withTempHome(async () => {
    const env = { ISSUER: OTHER.issuer, CLIENT_ID: OTHER.clientId };
    for (const [name, value] of Object.entries(env)) Deno.env.set(`VM_OIDC_${name}`, value);
    for (const name of ["VM_API_KEY", "VM_API_SECRET"]) Deno.env.set(name, "k");
    await new FileCredentialsBackend().put(OTHER_KEY, entry());
    assertEquals((await clearOidcCredentials()).keys, [OTHER_KEY]);
  });
});

Deno.test("clearOidcCredentials: half a name is refused, with the other half", async () => {
  await withTempHome(async () => {
    const { issuer } = OTHER;
    await rejectsWith("invalid_options", () => clearOidcCredentials({ issuer }), "clientId");
  });
});

Deno.test("clearOidcCredentials: an empty audience names the entry without one", async () => {
  await withTempHome(async () => {
    Deno.env.set("VM_OIDC_AUDIENCE", "api");
    const credentialsBackend = new MemoryCredentialsBackend();
    for (const key of [OTHER_KEY, `${OTHER_KEY}|api`]) credentialsBackend.put(key, entry());
    const options = { ...OTHER, audience: "", credentialsBackend };
    assertEquals((await clearOidcCredentials(options)).keys, [OTHER_KEY]);
  });
});

Deno.test({
  name: "clearOidcCredentials: variables that may not be read are no empty variables",
  permissions: { env: false },
  fn: async () => {
    await rejectsWith(
      "permission_required",
      () => clearOidcCredentials(),
      "--allow-env=VM_OIDC_ISSUER,VM_OIDC_CLIENT_ID",
    );
  },
});

Deno.test("clearOidcCredentials: another issuer by options, in the active session's backend", async () => {
  await using world = await scriptedProviderWorld();
  const session = await init({ ...world.options, ...MODEL });
  world.backend.put(OTHER_KEY, entry());
  world.backend.put(`${OTHER_KEY}|api`, entry({ audience: "api" }));
  assertEquals((await clearOidcCredentials({ ...OTHER, audience: "api" })).keys, [
    `${OTHER_KEY}|api`,
  ]);
  assertEquals((await clearOidcCredentials(OTHER)).keys, [OTHER_KEY]);
  assertEquals(await Array.fromAsync(world.backend.list()), [world.key]);
  assertEquals(getSession(), session);
});

Deno.test("clearOidcCredentials: the active session's own entry, named by options", async () => {
  await using world = await scriptedProviderWorld();
  const session = await init({ ...world.options, ...MODEL });
  const { issuer, clientId } = world.provider;
  const options = { issuer: `${issuer}/`, clientId, credentialsBackend: world.backend };
  assertEquals((await clearOidcCredentials(options)).keys, [world.key]);
  await noSession();
  await rejectsWith("login_required", () => session.accessToken()); // signed out, not closed
});

Deno.test("clearOidcCredentials: what is not named is the active session's", async () => {
  await using world = await scriptedProviderWorld();
  await init({ ...world.options, ...MODEL, audience: "api" });
  const elsewhere = new MemoryCredentialsBackend();
  const key = `${world.key}|api`;
  elsewhere.put(key, entry());
  const { keys } = await clearOidcCredentials({ credentialsBackend: elsewhere });
  assertEquals([keys, await Array.fromAsync(elsewhere.list())], [[key], []]);
  assertEquals(getSession().issuer, world.provider.issuer); // another backend: it goes on
});

Deno.test("clearOidcCredentials: the active session's audience is not another issuer's", async () => {
  await using world = await scriptedProviderWorld();
  await init({ ...world.options, ...MODEL, audience: "api" });
  world.backend.put(OTHER_KEY, entry());
  assertEquals((await clearOidcCredentials(OTHER)).keys, [OTHER_KEY]);
});

Deno.test("clearOidcCredentials: another backend by option", async () => {
  const backend = new SpyBackend();
  backend.rows.set(OTHER_KEY, entry());
  const { keys } = await clearOidcCredentials({ ...OTHER, credentialsBackend: backend });
  assertEquals([keys, backend.rows.size], [[OTHER_KEY], 0]);
});

Deno.test("clearOidcCredentials: all clears every entry and revokes each at its issuer", async () => {
  await using world = await oidcProviderWorld();
  await using second = await oidcProviderWorld();
  const credentialsBackend = world.backend;
  await init({ ...world.options, ...MODEL });
  await createSession({ ...second.options, credentialsBackend });
  const tokens = [world.key, second.key].map((key) => world.backend.get(key)!.access_token);
  const result = await clearOidcCredentials({ all: true, revoke: true });
  assertEquals([new Set(result.keys), result.revocation], [
    new Set([world.key, second.key]),
    "revoked",
  ]);
  assertEquals(await world.provider.isActive(tokens[0]!), false);
  assertEquals(await second.provider.isActive(tokens[1]!), false);
  assertEquals(await Array.fromAsync(world.backend.list()), []);
  await noSession();
});

Deno.test("clearOidcCredentials: all reports the worst of the revocations", async () => {
  await using world = await oidcProviderWorld();
  await using without = await oidcProviderWorld({ revocation: false });
  const credentialsBackend = world.backend;
  const clearAll = () => clearOidcCredentials({ all: true, revoke: true, credentialsBackend });
  assertEquals(await clearAll(), { keys: [], revocation: "nothing_to_revoke" });
  await createSession(world.options);
  await createSession({ ...without.options, credentialsBackend });
  assertEquals((await clearAll()).revocation, "not_supported");
  await createSession(world.options);
  world.backend.put("odd", entry({ issuer: "http://insecure.example.com" }));
  const { keys, revocation, reason } = await clearAll();
  assertEquals([new Set(keys), revocation], [new Set([world.key, "odd"]), "failed"]);
  assertEquals(reason?.includes("http://insecure.example.com"), true);
  assertEquals(await Array.fromAsync(world.backend.list()), []);
});

Deno.test("clearOidcCredentials: all without revoke asks no provider", async () => {
  await using world = await scriptedProviderWorld();
  await init({ ...world.options, ...MODEL });
  world.provider.reset();
  const result = await clearOidcCredentials({ all: true });
  assertEquals(result, { keys: [world.key], revocation: "not_requested" });
  assertEquals(world.provider.requests, []);
});

Deno.test("clearOidcCredentials: all removes what a probe has left, and does not report it", async () => {
  const backend = new MemoryCredentialsBackend();
  const probe = { issuer: "probe", client_id: "probe", access_token: "x" };
  backend.put("probe|0123456789abcdef", probe);
  backend.put("probe|1c5d7a0e-0000-4000-8000-000000000000", probe); // of an earlier version
  const result = await clearOidcCredentials({ all: true, credentialsBackend: backend });
  assertEquals(result.keys, []);
  assertEquals(await Array.fromAsync(backend.list()), []);
});

Deno.test("clearOidcCredentials: all needs a backend that lists, unless it lists nothing", async () => {
  const backend = new SpyBackend();
  backend.rows.set(OTHER_KEY, entry());
  const run = () => clearOidcCredentials({ all: true, credentialsBackend: backend });
  await rejectsWith("backend_no_list", run, "SpyBackend", "issuer and clientId");
  assertEquals(backend.rows.size, 1);
});

Deno.test("clearOidcCredentials: all gets rid of a file that cannot be understood", async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/credentials.json`;
  const credentialsBackend = new FileCredentialsBackend({ path });
  for (const revoke of [false, true]) {
    await Deno.writeTextFile(path, '{"version": 1, "credentials": {"half of');
    const { reason, ...result } = await clearOidcCredentials({
      all: true,
      revoke,
      credentialsBackend,
    });
    const revocation = revoke ? "failed" : "not_requested";
    assertEquals(result, { keys: [], wholeStore: true, revocation });
    assertEquals(typeof reason, revoke ? "string" : "undefined");
    await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
  }
});

Deno.test("clearOidcCredentials: all leaves another program's file, and says so", async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/credentials.json`;
  const credentialsBackend = new FileCredentialsBackend({ path });
  for (const text of ['{"installed": {"client_id": "x"}}', '{"version": 1, "credentials": []}']) {
    await Deno.writeTextFile(path, text);
    const clear = () => clearOidcCredentials({ all: true, credentialsBackend });
    await rejectsWith("backend_corrupt", clear, path, "does not look like a credentials file");
    assertEquals(await Deno.readTextFile(path), text);
  }
});

Deno.test("clearOidcCredentials: all also forgets tokens that could not be stored", async () => {
  await using world = await scriptedProviderWorld();
  const backend = Object.assign(new MemoryCredentialsBackend(), { fails: true });
  const put = backend.put.bind(backend);
  backend.put = (key, value) => {
    if (backend.fails && key === world.key) {
      throw new CredentialsBackendError("backend_full", "Cannot write: no space.");
    }
    put(key, value);
  };
  const options = { ...world.options, credentialsBackend: backend };
  await rejectsWith("credentials_not_stored", () => createSession(options));
  await clearOidcCredentials({ all: true, credentialsBackend: backend });
  backend.fails = false;
  await rejectsWith("login_required", () => createSession({ ...options, interactive: false }));
  assertEquals(await Array.fromAsync(backend.list()), []);
});

const BAD: [options: unknown, word: string][] = [
  [null, "not an object"],
  ["all", "not an object"],
  [[], "not an object"],
  [{ everything: true }, 'unknown option "everything"'],
  [{ toString: true }, 'unknown option "toString"'],
  [{ all: "false" }, '"all" is not a boolean'],
  [{ revoke: 1 }, '"revoke" is not a boolean'],
  [{ issuer: 5 }, '"issuer" is not a string'],
  [{ issuer: null }, '"issuer" is not a string'],
  [{ issuer: "" }, '"issuer" is empty'],
  [{ issuer: " " }, '"issuer" is empty'],
  [{ clientId: 5 }, '"clientId" is not a string'],
  [{ audience: 5 }, '"audience" is not a string'],
  [{ fetch: "x" }, '"fetch" is not a function'],
  [{ timeoutMs: "5" }, '"timeoutMs" is not a number'],
  [{ timeoutMs: 0 }, '"timeoutMs" is not a number of milliseconds above 0'],
  [{ timeoutMs: NaN }, '"timeoutMs" is not a number of milliseconds above 0'],
];

for (const [options, word] of BAD) {
  Deno.test(`clearOidcCredentials refuses ${JSON.stringify(options)}`, async () => {
    const backend = new SpyBackend();
    const isPlain = typeof options === "object" && options !== null && !Array.isArray(options);
    const given = isPlain ? { ...OTHER, credentialsBackend: backend, ...options } : options;
    const run = () => clearOidcCredentials(given as ClearOidcCredentialsOptions);
    await rejectsWith("invalid_options", run, word);
    assertEquals(backend.calls, []);
  });
}

Deno.test("clearOidcCredentials refuses a backend that is none", async () => {
  for (const credentialsBackend of [{}, null, "file"]) {
    for (const all of [false, true]) {
      const options = { ...OTHER, all, credentialsBackend } as unknown;
      const run = () => clearOidcCredentials(options as ClearOidcCredentialsOptions);
      const isObject = credentialsBackend !== null && typeof credentialsBackend === "object";
      await rejectsWith(isObject ? "invalid_backend" : "invalid_options", run);
    }
  }
});

Deno.test("clearOidcCredentials: a time limit of more than a timer can wait is no short one", async () => {
  await using world = await scriptedProviderWorld();
  await init({ ...world.options, model: "m" });
  const { revocation } = await clearOidcCredentials({ revoke: true, timeoutMs: 2 ** 31 });
  assertEquals(revocation, "revoked");
});
