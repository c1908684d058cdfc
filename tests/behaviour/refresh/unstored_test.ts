import { assert, assertEquals } from "@std/assert";
import {
  type AuthEvent,
  FileCredentialsBackend,
  type OidcCredentialsBackend,
} from "@validmind/auth";
import { isProbeKey, probeKey, PROVES } from "../../../backends/common/marks.ts";
import {
  answerWith,
  HOUR,
  refreshes,
  renew,
  scriptedProviderWorld,
  type ScriptedWorld,
  test,
} from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { isPosix } from "../../support/sandbox.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { tempDir } from "../../support/temp_home.ts";
import { storeError } from "../../support/error_parts.ts";

// Stores that do not take what a refresh brings, or do so late, and what others do to them meanwhile.
type World = ScriptedWorld;
const FULL = storeError("backend_full", "Cannot write: no space is left. Free some.");
const LOCKED = storeError("backend_locked", "Cannot lock: another has it.");

/** What another process stores. */
const theirs = ({ clock }: World) => ({
  access_token: "their-access",
  refresh_token: "their-refresh",
  expires_at: new Date(clock.now() + 2 * HOUR).toISOString(),
});

/** A store with a lock, whose changes are told. */
class LockedBackend extends SpyBackend {
  readonly persistent: boolean = true;
  readonly steps: string[] = [];
  isHeldByAnother = false;
  #isLocked = false;
  override async put(...args: Parameters<SpyBackend["put"]>): Promise<void> {
    this.#told("put", args[0]);
    await super.put(...args);
  }
  override async delete(key: string): Promise<void> {
    this.#told("delete", key);
    await super.delete(key);
  }
  async withLock<T>(_key: string, fn: () => Promise<T>): Promise<T> {
    if (this.isHeldByAnother) throw LOCKED;
    this.#isLocked = true;
    return await fn().finally(() => this.#isLocked = false);
  }
  #told(method: string, key: string): void {
    const what = isProbeKey(key) ? "probe" : "entry";
    this.steps.push(`${method} ${what}${this.#isLocked ? "" : " without the lock"}`);
  }
}

/** A session whose rotated tokens could not be stored. */
async function withUnstored(world: World) {
  const backend = new LockedBackend();
  const options = { credentialsBackend: backend };
  const session = await world.signIn(options);
  backend.fail("put", FULL, world.key);
  await rejectsWith("credentials_not_stored", () => renew(session));
  backend.before = undefined;
  backend.steps.length = 0;
  const start = () => world.signIn({ ...options, interactive: false });
  return { backend, session, start, row: () => backend.rows.get(world.key)! };
}

for (const use of ["a start", "a refresh"]) {
  test(`unstored: the write is tried again under the lock by ${use}`, async (world) => {
    const { backend, session, start, row } = await withUnstored(world);
    const old = row();
    await (use === "a start" ? start() : renew(session));
    assert(row().refresh_token !== old.refresh_token);
    assertEquals([backend.steps.includes("put entry"), world.codes.length], [true, 1]);
    assertEquals(backend.steps.includes("put entry without the lock"), false);
  });
}

test("unstored: without the lock nothing is written, and the tokens serve", async (world) => {
  const { backend, start, row } = await withUnstored(world);
  const old = row();
  backend.isHeldByAnother = true;
  assert(world.provider.isActive(await (await start()).accessToken()));
  assertEquals([row(), backend.steps], [old, []]);
  backend.isHeldByAnother = false;
  assertEquals(await (await start()).accessToken(), row().access_token);
});

test("unstored: an entry that another process has stored is not overwritten", async (world) => {
  const { backend, session, start, row } = await withUnstored(world);
  const entry = { ...row(), ...theirs(world) };
  backend.rows.set(world.key, entry);
  world.clock.advance(HOUR);
  assertEquals(await session.accessToken(), "their-access");
  assertEquals(await (await start()).accessToken(), "their-access");
  assertEquals(row(), entry);
});

test("unstored: nor is a sign-out of another process undone", async (world) => {
  const { backend, start } = await withUnstored(world);
  backend.rows.delete(world.key);
  await rejectsWith("login_required", start);
  assertEquals(backend.rows.size, 0);
});

test("unstored: tokens of a new sign-in win over whatever is stored at the approval", async (world) => {
  const backend = new LockedBackend();
  const options = { credentialsBackend: backend, scope: "openid more" };
  await world.signIn({ ...options, scope: "openid" });
  const old = backend.rows.get(world.key)!;
  world.clock.onDelay = () => {
    backend.rows.set(world.key, { ...old, refresh_token: "their-refresh" });
    backend.fail("put", FULL, world.key);
  };
  await rejectsWith("credentials_not_stored", () => world.signIn(options), "no space is left");
  backend.before = undefined;
  const session = await world.signIn({ ...options, interactive: false });
  const { scope, access_token } = backend.rows.get(world.key)!;
  assertEquals([scope, access_token], ["openid more", await session.accessToken()]);
  assertEquals(backend.steps.includes("put entry without the lock"), false);
  assertEquals(world.codes.length, 2);
});

/** Changes by another process after the store has failed. */
const CHANGES: [what: string, wasSignedIn: boolean, isSignedIn: boolean, isReadable?: boolean][] = [
  ["sign-out", true, false],
  ["sign-in", false, true],
  ["newer sign-in", true, true],
  ["sign-out while nothing can be read", true, false, false],
  ["newer sign-in while nothing can be read", true, true, false],
];

for (const [what, wasSignedIn, isSignedIn, isReadable = true] of CHANGES) {
  test(`unstored: tokens of a new sign-in undo no ${what} of another process`, async (world) => {
    const backend = new LockedBackend();
    const options = { credentialsBackend: backend, scope: "openid more" };
    if (wasSignedIn) await world.signIn({ ...options, scope: "openid" });
    let isDown = false;
    backend.before = (method, key) => {
      if (key === world.key && method === "put") isDown = true;
      if (isDown && (method === "put" || !isReadable)) throw FULL;
    };
    await rejectsWith("credentials_not_stored", () => world.signIn(options), "no space is left");
    backend.before = undefined;
    const own = { issuer: world.provider.issuer, client_id: world.provider.clientId };
    if (isSignedIn) backend.rows.set(world.key, { ...own, ...theirs(world) });
    else backend.rows.delete(world.key);
    const start = () => world.signIn({ ...options, interactive: false });
    if (isSignedIn) assertEquals(await (await start()).accessToken(), "their-access");
    else await rejectsWith("login_required", start, "no sign-in is stored");
    assertEquals(backend.rows.size, isSignedIn ? 1 : 0);
  });
}

test("unstored: tokens of a new sign-in are stored once the store can be read again", async (world) => {
  const backend = new LockedBackend();
  const options = { credentialsBackend: backend, scope: "openid more" };
  await world.signIn({ ...options, scope: "openid" });
  world.clock.onDelay = () => void (backend.before = () => Promise.reject(FULL));
  await rejectsWith("credentials_not_stored", () => world.signIn(options), "no space is left");
  backend.before = undefined;
  const session = await world.signIn({ ...options, interactive: false });
  assertEquals(await session.accessToken(), backend.rows.get(world.key)?.access_token);
});

test("unstored: a session for another scope keeps its own tokens", async (world) => {
  const credentialsBackend = new LockedBackend();
  const [one, other] = [
    await world.signIn({ credentialsBackend, scope: "openid one" }),
    await world.signIn({ credentialsBackend, scope: "openid other" }),
  ];
  const token = await one.accessToken();
  credentialsBackend.fail("put", FULL, world.key);
  await rejectsWith("credentials_not_stored", () => renew(other));
  await rejectsWith("login_required", () => renew(one), "another scope");
  assertEquals(await one.accessToken(), token);
});

test("unstored: a session does not take over those of another person", async (world) => {
  const options = { credentialsBackend: new LockedBackend(), scope: "openid one" };
  const session = await world.signIn({ ...options, scope: "openid" });
  const own = await session.accessToken();
  options.credentialsBackend.fail("put", FULL, world.key);
  answerWith(world, { id_token: await world.provider.idToken({ sub: "another" }) });
  await rejectsWith("credentials_not_stored", () => world.signIn(options));
  await rejectsWith("login_required", () => renew(session), "another person");
  assertEquals(await session.accessToken(), own);
});

test("unstored: what one instance could not store, another of the same identity has, and stores", async (world) => {
  const shared = { storeId: crypto.randomUUID(), persistent: true, rows: new Map() };
  const [one, two] = [1, 2].map(() => Object.assign(new SpyBackend(), shared));
  one!.fail("put", FULL, world.key);
  const first = () => world.signIn({ credentialsBackend: one! });
  await rejectsWith("credentials_not_stored", first);
  const session = await world.signIn({ credentialsBackend: two!, interactive: false });
  assertEquals(shared.rows.get(world.key)?.access_token, await session.accessToken());
});

test("unstored: a bad answer whose refresh token cannot be stored loses it not", async (world) => {
  const backend = new SpyBackend();
  const session = await world.signIn({ credentialsBackend: backend });
  backend.fail("put", FULL, world.key);
  answerWith(world, { id_token: await world.provider.idToken({ aud: "another" }) });
  await rejectsWith("credentials_not_stored", () => renew(session));
  backend.before = undefined;
  const token = await renew(session);
  assertEquals(backend.rows.get(world.key)?.access_token, token);
  assertEquals([world.provider.isActive(token), world.codes.length], [true, 1]);
});

test.real("unwritable store: the refresh token is not spent, and serves once there is space", async (world) => {
  const backend = new SpyBackend();
  const options = { credentialsBackend: backend, interactive: false };
  await world.signIn({ credentialsBackend: backend });
  const before = backend.rows.get(world.key);
  world.clock.advance(HOUR);
  backend.fail("put", FULL);
  for (let start = 0; start < 3; start++) {
    await rejectsWith("backend_full", () => world.signIn(options), "no space");
  }
  assertEquals([refreshes(world), backend.rows.get(world.key)], [0, before]);
  backend.before = undefined;
  const session = await world.signIn(options);
  assert(await world.provider.isActive(await session.accessToken()));
  assertEquals([refreshes(world), world.codes.length], [1, 1]);
});

test("unwritable store: a token in its last minutes is used on, and the event tells why", async (world) => {
  const backend = new SpyBackend();
  const events: AuthEvent[] = [];
  const options = {
    credentialsBackend: backend,
    onEvent: (one: AuthEvent) => void events.push(one),
  };
  await world.signIn(options);
  const { access_token } = backend.rows.get(world.key)!;
  world.clock.advance(HOUR - 60_000);
  backend.fail("put", FULL);
  const session = await world.signIn({ ...options, interactive: false });
  assertEquals([await session.accessToken(), refreshes(world)], [access_token, 0]);
  const failed = events.find(({ type }) => type === "refresh_failed");
  assertEquals(failed && "code" in failed && failed.code, "backend_full");
});

/** Stores, and what a refresh does in each: before the token is sent, a lasting one is proven. */
const PROOFS: [what: string, own: object, steps: string[]][] = [
  ["that lasts", {}, ["put probe", "delete probe", "request", "put entry"]],
  ["that proves its writes", { [PROVES]: true }, ["request", "put entry"]],
  ["in memory", { persistent: false }, ["request", "put entry"]],
];

for (const [what, own, expected] of PROOFS) {
  test(`proof: a refresh in a store ${what}: ${expected}`, async (world) => {
    const backend = Object.assign(new LockedBackend(), own);
    const session = await world.signIn({ credentialsBackend: backend });
    world.provider.script.token.push(() => void backend.steps.push("request"));
    backend.steps.length = 0;
    await renew(session);
    assertEquals(backend.steps, expected);
  });
}

test("proof: a probe entry that a kill has left is removed by the next refresh, and by clear", async (world) => {
  const backend = new SpyBackend();
  const session = await world.signIn({ credentialsBackend: backend });
  const left = await probeKey(world.key);
  const leave = () => backend.rows.set(left, { ...backend.rows.get(world.key)! });
  leave();
  await renew(session);
  assertEquals([...backend.rows.keys()], [world.key]);
  leave();
  backend.before = () => new Promise((resolve) => setTimeout(resolve)); // as any store over a network
  assertEquals((await session.clear()).keys, [world.key]);
  assertEquals(backend.rows.size, 0);
});

Deno.test("vanished store: new tokens are neither lost nor revoked, and stored once it is back", {
  ignore: !isPosix,
}, async () => {
  await using folder = await tempDir();
  await using world = await scriptedProviderWorld();
  const parent = `${folder.path}/inner`;
  const store = new FileCredentialsBackend({ path: `${parent}/credentials.json` });
  const session = await world.signIn({ credentialsBackend: store });
  world.provider.script.token.push(() => Deno.renameSync(parent, `${parent}.away`));
  await rejectsWith("credentials_not_stored", () => renew(session), "folder was removed");
  Deno.renameSync(`${parent}.away`, parent);
  const token = await session.accessToken();
  assertEquals(world.provider.isActive(token), true);
  assertEquals(store.get(world.key)?.access_token, token);
});

test.signedIn("sign-out during a refresh, by this session: it wins", async ({ session, ...world }) => {
  world.clock.advance(HOUR);
  const arrived = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  world.provider.script.token.push(() => (arrived.resolve(), gate.promise));
  const refreshing = session.accessToken();
  await arrived.promise;
  const clearing = session.clear();
  gate.resolve();
  await refreshing;
  assertEquals((await clearing).keys, [world.key]);
  assertEquals(world.backend.get(world.key), undefined);
  await rejectsWith("login_required", () => session.accessToken());
  assertEquals((await session.status()).signedIn, false);
});

test("sign-out: a token that is asked for meanwhile does not outlive it", async (world) => {
  const withLock: OidcCredentialsBackend["withLock"] = async (_, fn, { peek } = {}) =>
    await peek?.() ?? await fn();
  const backend = Object.assign(new SpyBackend(), { withLock });
  const session = await world.signIn({ credentialsBackend: backend });
  backend.before = async (method, key) => {
    if (method === "delete" && key === world.key) await session.accessToken();
  };
  await session.clear();
  await rejectsWith("login_required", () => session.accessToken());
});

test.signedIn("sign-out during a refresh, by another process: the new tokens are revoked, and nothing is stored", async ({ session, ...world }) => {
  const { provider } = world;
  const obtained = await provider.tokens();
  const { access_token, refresh_token } = await obtained.clone().json();
  provider.script.token.push(() => {
    world.backend.delete(world.key); // it did not wait for the lock
    return obtained;
  });
  provider.reset();
  const words = "removed while its token was refreshed";
  await rejectsWith("login_required", () => renew(session), words);
  assertEquals(world.backend.get(world.key), undefined);
  assertEquals([access_token, refresh_token].map((one) => provider.isActive(one)), [false, false]);
  const revoked = provider.requests.filter(({ path }) => path === "/revoke");
  assertEquals(revoked.map(({ form }) => form.token_type_hint), ["refresh_token", "access_token"]);
});

test.signedIn("a sign-out of another program, as Python's at a fault: the token serves to its end, and nothing is refreshed", async ({ session, ...world }) => {
  const token = await session.accessToken();
  world.backend.delete(world.key);
  assertEquals(await session.accessToken(), token);
  for (const use of [() => renew(session), () => world.signIn({ interactive: false })]) {
    await rejectsWith("login_required", use, "no sign-in is stored");
  }
  assertEquals([refreshes(world), world.backend.get(world.key)], [0, undefined]);
});

test.signedIn("a new sign-in of another process during a refresh wins, too", async ({ session, ...world }) => {
  world.provider.script.token.push(() => void world.amend(theirs(world)));
  assertEquals(await renew(session), "their-access");
  assertEquals(world.stored().refresh_token, "their-refresh");
});

test.realSignedIn("spent refresh token: is not sent again, also where no session holds the successor", async ({ session, ...world }) => {
  const older = world.stored();
  await renew(session);
  const { refresh_token } = world.stored();
  await session.close();
  world.backend.put(world.key, older);
  world.clock.advance(HOUR);
  world.provider.reset();
  await rejectsWith("login_required", () => world.signIn({ interactive: false }));
  assertEquals(refreshes(world), 0);
  assert(await world.provider.isActive(refresh_token!));
});
