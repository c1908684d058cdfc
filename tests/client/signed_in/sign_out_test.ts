import { assert, assertEquals, assertRejects } from "@std/assert";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type { OidcCredentials } from "../../../backends/oidc_credentials_backend.ts";
import { clearOidcCredentials, getSession, init } from "../../../client/init.ts";
import type { ClearOidcCredentialsOptions } from "../../../client/session_options.ts";
import { createSession } from "../../../client/create_session.ts";
import type { Session } from "../../../client/session.ts";
import { withEnv } from "../../support/own_env.ts";
import { tempDir, withTempHome } from "../../support/temp_home.ts";
import { oidcProviderWorld, test } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { storeError } from "../../support/error_parts.ts";

const MODEL = { model: "cl-1" };
const OTHER = { issuer: "https://other.example.com", clientId: "other-app" };
const OTHER_KEY = "https://other.example.com|other-app";
const OTHER_ENV = { VM_OIDC_ISSUER: OTHER.issuer, VM_OIDC_CLIENT_ID: OTHER.clientId };
const KEY_ENV = { VM_API_KEY: "k", VM_API_SECRET: "s" };

function entry(change: Partial<OidcCredentials> = {}): OidcCredentials {
  return { issuer: OTHER.issuer, client_id: OTHER.clientId, access_token: "access-o", ...change };
}

/** A store with these keys. */
function storeOf(...keys: string[]): MemoryCredentialsBackend {
  const backend = new MemoryCredentialsBackend();
  for (const key of keys) backend.put(key, entry());
  return backend;
}

const keysIn = (backend: MemoryCredentialsBackend) => Array.fromAsync(backend.list());

test.real("clearOidcCredentials: the active session's entry, and the session is over", async (world) => {
  const session = await init({ ...world.options, ...MODEL });
  const { access_token } = world.stored();
  world.backend.put(OTHER_KEY, entry());
  const result = await clearOidcCredentials({ revoke: true, timeoutMs: 2 ** 31 }); // no short limit
  assertEquals(result, { keys: [world.key], revocation: "revoked" });
  assertEquals(await world.provider.isActive(access_token), false);
  assertEquals(await keysIn(world.backend), [OTHER_KEY]);
  await rejectsWith("no_active_session", () => getSession());
  await rejectsWith("login_required", () => session.accessToken()); // signed out, not closed
  await withTempHome(async () => {
    const again = await clearOidcCredentials({ revoke: true });
    assertEquals(again, { keys: [], revocation: "nothing_to_revoke" });
  });
});

test.real("clear: tokens that a session holds are revoked, also where another program removed the entry", async (world) => {
  const ways = [
    (one: Session) => one.clear({ revoke: true }),
    () => clearOidcCredentials({ revoke: true }),
    () => clearOidcCredentials({ revoke: true, all: true }),
  ];
  for (const clear of ways) {
    const session = await init({ ...world.options, ...MODEL });
    const token = await session.accessToken();
    world.backend.delete(world.key);
    assertEquals(await clear(session), { keys: [], revocation: "revoked" });
    assertEquals(await world.provider.isActive(token), false);
    await rejectsWith("login_required", () => session.accessToken());
  }
});

test.real("clearOidcCredentials: without init, by the environment", async (world) => {
  await withTempHome(async () => {
    assertEquals(await clearOidcCredentials(), { keys: [], revocation: "not_requested" });
    const credentialsBackend = new FileCredentialsBackend();
    await createSession({ ...world.options, credentialsBackend });
    const { issuer, clientId } = world.provider;
    const variables = { ...KEY_ENV, VM_OIDC_ISSUER: `${issuer}/`, VM_OIDC_CLIENT_ID: clientId };
    for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
    const result = await clearOidcCredentials({ revoke: true });
    assertEquals(result, { keys: [world.key], revocation: "revoked" });
    assertEquals(await Array.fromAsync(credentialsBackend.list()), []);
  });
});

test("clearOidcCredentials: after init() with an API key, the sign-in of the variables stays", async (world) => {
  await withTempHome(async () => {
    for (const [name, value] of Object.entries(OTHER_ENV)) Deno.env.set(name, value);
    const backend = new FileCredentialsBackend();
    await backend.put(OTHER_KEY, entry());
    const key = { apiKey: "test-api-key", apiSecret: "test-api-secret" };
    const session = await init({ ...key, apiHost: world.api.apiHost, ...MODEL });
    assertEquals(await clearOidcCredentials(), { keys: [], revocation: "not_requested" });
    assertEquals((await clearOidcCredentials(OTHER)).keys, [OTHER_KEY]);
    assertEquals(getSession(), session);
  });
});

Deno.test("clearOidcCredentials: what names the entry, without an active session", async () => {
  const audience = "api";
  const cases: [ClearOidcCredentialsOptions, Record<string, string>, string][] = [
    [OTHER, {}, OTHER_KEY],
    [{ ...OTHER, audience }, {}, `${OTHER_KEY}|api`],
    [OTHER, { VM_OIDC_AUDIENCE: audience }, `${OTHER_KEY}|api`],
    [{ ...OTHER, audience: "" }, { VM_OIDC_AUDIENCE: audience }, OTHER_KEY],
    [{}, OTHER_ENV, OTHER_KEY],
    [{}, { ...OTHER_ENV, ...KEY_ENV }, OTHER_KEY],
  ];
  for (const [options, env, key] of cases) {
    const credentialsBackend = storeOf(OTHER_KEY, `${OTHER_KEY}|api`, "more");
    const clear = () => clearOidcCredentials({ ...options, credentialsBackend });
    assertEquals((await withEnv(env, clear)).keys, [key]);
    assertEquals((await keysIn(credentialsBackend)).includes(key), false);
  }
  const half = { issuer: OTHER.issuer };
  const run = () => withEnv({}, () => clearOidcCredentials(half));
  await rejectsWith("invalid_options", run, "clientId");
});

test("clearOidcCredentials: beside an active session options name another entry, or its own", async (world) => {
  const session = await init({ ...world.options, ...MODEL, audience: "api" });
  const key = `${world.key}|api`;
  for (const other of [OTHER_KEY, `${OTHER_KEY}|api`]) world.backend.put(other, entry());
  // The session's audience is not another issuer's.
  assertEquals((await clearOidcCredentials(OTHER)).keys, [OTHER_KEY]);
  const { keys } = await clearOidcCredentials({ ...OTHER, audience: "api" });
  assertEquals([keys, await keysIn(world.backend)], [[`${OTHER_KEY}|api`], [key]]);
  // What is not named is the session's. In another store it is not the session itself.
  const elsewhere = storeOf(key);
  assertEquals((await clearOidcCredentials({ credentialsBackend: elsewhere })).keys, [key]);
  assertEquals([await keysIn(elsewhere), getSession()], [[], session]);
  const { issuer, clientId } = world.provider;
  const credentialsBackend = world.backend;
  const own = { issuer: `${issuer}/`, clientId, audience: "api", credentialsBackend };
  assertEquals((await clearOidcCredentials(own)).keys, [key]);
  await rejectsWith("no_active_session", () => getSession());
});

test("clearOidcCredentials: no variable makes the active session's entry another one", async (world) => {
  const later = {
    VM_OIDC_AUDIENCE: "api",
    VM_OIDC_FLOW: "client_credentials",
    VM_OIDC_PROFILE: "x",
  };
  for (const [name, value] of Object.entries(later)) {
    await init({ ...world.options, ...MODEL, audience: "", flow: "auto" });
    Deno.env.set(name, value);
    assertEquals((await clearOidcCredentials()).keys, [world.key], name);
    await rejectsWith("no_active_session", () => getSession());
    Deno.env.delete(name);
  }
});

Deno.test("clearOidcCredentials: variables that may not be read are no empty variables", {
  permissions: { env: false },
}, async () => {
  const words = [
    "env VM_OIDC_ISSUER, VM_OIDC_CLIENT_ID (to",
    "--allow-write --allow-net --allow-env ",
  ];
  await rejectsWith("permission_required", () => clearOidcCredentials(), ...words);
});

Deno.test(
  "clearOidcCredentials: the client's key has to be readable before anything goes, to revoke",
  { permissions: { env: true } },
  async () => {
    const credentialsBackend = storeOf(OTHER_KEY);
    const ownFetch = () => Promise.reject(new Error("not to be called"));
    const options = {
      ...OTHER,
      credentialsBackend,
      clientKeyFile: "/keys/app.pem",
      fetch: ownFetch,
    };
    const revoke = () => clearOidcCredentials({ ...options, revoke: true });
    const needed = await rejectsWith("permission_required", revoke, "--allow-read=/keys/app.pem");
    assert(
      !needed.message.includes("--allow-net"),
      "a fetch of one's own may need another permission",
    );
    assertEquals(await keysIn(credentialsBackend), [OTHER_KEY]);
    assertEquals((await clearOidcCredentials(options)).keys, [OTHER_KEY]);
  },
);

test.real("clearOidcCredentials: an entry that names no issuer and client is revoked at its key's", async (world) => {
  await (await world.signIn()).close();
  const { access_token } = world.backend.get(world.key)!;
  world.backend.put(world.key, { access_token } as never);
  const { issuer, clientId, credentialsBackend } = world.options;
  const options = { issuer, clientId, credentialsBackend, revoke: true };
  assertEquals((await clearOidcCredentials(options)).revocation, "revoked");
  assertEquals(await world.provider.isActive(access_token), false);
});

test.real("clearOidcCredentials: all clears every entry and revokes each at its issuer", async (world) => {
  await using second = await oidcProviderWorld();
  const credentialsBackend = world.backend;
  for (const revoke of [true, false]) {
    await init({ ...world.options, ...MODEL });
    await createSession({ ...second.options, credentialsBackend });
    const [one, two] = [world.key, second.key].map((key) => world.backend.get(key)!.access_token);
    second.provider.reset();
    const { keys, revocation } = await clearOidcCredentials({ all: true, revoke });
    assertEquals(keys.toSorted(), [world.key, second.key].toSorted());
    assertEquals(revocation, revoke ? "revoked" : "not_requested");
    assertEquals(await world.provider.isActive(one!), !revoke);
    assertEquals(await second.provider.isActive(two!), !revoke);
    assertEquals(await keysIn(world.backend), []);
    await rejectsWith("no_active_session", () => getSession());
  }
});

test.real("clearOidcCredentials: all reports the worst of the revocations", async (world) => {
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
  assertEquals([keys.toSorted(), revocation], [[world.key, "odd"].toSorted(), "failed"]);
  assertEquals(reason?.includes("http://insecure.example.com"), true);
  assertEquals(await keysIn(world.backend), []);
});

Deno.test("clearOidcCredentials: all removes what a probe has left, and does not report it", async () => {
  const left = ["probe|0123456789abcdef", "probe|1c5d7a0e-0000-4000-8000-000000000000"];
  const credentialsBackend = storeOf(...left); // the second one of an earlier version
  assertEquals((await clearOidcCredentials({ all: true, credentialsBackend })).keys, []);
  assertEquals(await keysIn(credentialsBackend), []);
});

Deno.test("clearOidcCredentials: all needs a backend that lists", async () => {
  const backend = new SpyBackend();
  backend.rows.set(OTHER_KEY, entry());
  const run = () => clearOidcCredentials({ all: true, credentialsBackend: backend });
  const words = "issuer (VM_OIDC_ISSUER, --issuer) and clientId";
  await rejectsWith("backend_no_list", run, "SpyBackend", words);
  assertEquals(backend.rows.size, 1);
});

test("clearOidcCredentials: all gets rid of a damaged file and its session, and leaves another program's", async (world) => {
  await using dir = await tempDir();
  const path = `${dir.path}/credentials.json`;
  const credentialsBackend = new FileCredentialsBackend({ path });
  const session = await init({ ...world.options, ...MODEL, credentialsBackend });
  const beside = await createSession({ ...world.options, credentialsBackend });
  for (const revoke of [false, true]) {
    const another = new FileCredentialsBackend({ path }); // of the same place
    const clear = () => clearOidcCredentials({ all: true, revoke, credentialsBackend: another });
    await Deno.writeTextFile(path, '{"version": 1, "credentials": {"half of');
    const { reason, ...result } = await clear();
    const revocation = revoke ? "failed" : "not_requested";
    assertEquals(result, { keys: [], wholeStore: true, revocation });
    assertEquals(typeof reason, revoke ? "string" : "undefined");
    await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
    await rejectsWith("no_active_session", () => getSession());
    for (const one of [session, beside]) {
      await rejectsWith("login_required", () => one.accessToken());
    }
    for (const text of ['{"installed": {"client_id": "x"}}', '{"version": 1, "credentials": []}']) {
      await Deno.writeTextFile(path, text);
      await rejectsWith("backend_corrupt", clear, path, "does not look like a credentials file");
      assertEquals(await Deno.readTextFile(path), text);
    }
  }
});

test("clearOidcCredentials: all also forgets tokens that could not be stored", async (world) => {
  const backend = Object.assign(new MemoryCredentialsBackend(), { fails: true });
  const put = backend.put.bind(backend);
  backend.put = (key, value) => {
    if (backend.fails && key === world.key) {
      throw storeError("backend_full", "Cannot write: no space.");
    }
    return put(key, value);
  };
  const options = { ...world.options, credentialsBackend: backend };
  await rejectsWith("credentials_not_stored", () => createSession(options));
  await clearOidcCredentials({ all: true, credentialsBackend: backend });
  backend.fails = false;
  await rejectsWith("login_required", () => createSession({ ...options, interactive: false }));
  assertEquals(await keysIn(backend), []);
});

const BAD: [options: object | null, word: string][] = [
  [null, "not an object"],
  [{ everything: true }, 'unknown option "everything"'],
  [{ all: "false" }, '"all" is not true or false'],
  [{ revoke: 1 }, '"revoke" is not true or false'],
  [{ issuer: 5 }, '"issuer" is not a string'],
  [{ fetch: "x" }, '"fetch" is not a function'],
  [{ timeoutMs: 0 }, '"timeoutMs" is not a number of milliseconds above 0'],
  [{ credentialsBackend: null }, "credentialsBackend"],
  [{ credentialsBackend: "file", all: true }, "credentialsBackend"],
];

Deno.test("clearOidcCredentials refuses what it does not know, before anything is touched", async () => {
  const backend = new SpyBackend();
  for (const [options, word] of BAD) {
    const given = options && { ...OTHER, credentialsBackend: backend, ...options };
    const run = () => clearOidcCredentials(given as ClearOidcCredentialsOptions);
    await rejectsWith("invalid_options", run, word);
  }
  for (const all of [false, true]) {
    const options = { ...OTHER, all, credentialsBackend: {} } as ClearOidcCredentialsOptions;
    await rejectsWith("invalid_backend", () => clearOidcCredentials(options));
  }
  assertEquals(backend.calls, []);
});
