import { isProbeKey, probeKey, PROVES } from "../../../backends/common/describe_backend.ts";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import type { AuthEvent } from "../../../client/auth_event.ts";
import { createSession } from "../../../client/create_session.ts";
import { HOUR, refreshes, scriptedProviderWorld, test } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { tempDir } from "../../support/temp_home.ts";
import type { OidcCredentials } from "../../../backends/oidc_credentials_backend.ts";
import { assert, assertEquals } from "@std/assert";

const FULL = new CredentialsBackendError(
  "backend_full",
  "Cannot write: no space is left. Free some.",
);

/** A store whose writes fail while it is full. */
class FullBackend extends SpyBackend {
  isFull = false;
  override before = (method: string) => {
    if (this.isFull && method === "put") throw FULL;
  };
}

test.real("unwritable store: the refresh token is not spent, and serves once there is space", async (world) => {
  const backend = new FullBackend();
  const options = { ...world.options, credentialsBackend: backend, interactive: false };
  await createSession({ ...options, interactive: true });
  const before = backend.rows.get(world.key);
  world.clock.advance(HOUR);
  backend.isFull = true;
  for (let start = 0; start < 3; start++) {
    await rejectsWith("backend_full", () => createSession(options), "no space");
  }
  assertEquals([refreshes(world), backend.rows.get(world.key)], [0, before]);
  backend.isFull = false;
  const session = await createSession(options);
  assert(await world.provider.isActive(await session.accessToken()));
  assertEquals([refreshes(world), world.codes.length], [1, 1]);
});

test("unwritable store: a token in its last minutes is used on, and the event tells why", async (world) => {
  const backend = new FullBackend();
  const events: AuthEvent[] = [];
  const onEvent = (event: AuthEvent) => void events.push(event);
  const options = { ...world.options, credentialsBackend: backend, onEvent };
  await createSession(options);
  const { access_token } = backend.rows.get(world.key)!;
  world.clock.advance(HOUR - 60_000);
  backend.isFull = true;
  const session = await createSession({ ...options, interactive: false });
  assertEquals([await session.accessToken(), refreshes(world)], [access_token, 0]);
  const failed = events.find(({ type }) => type === "refresh_failed");
  assertEquals(failed && "code" in failed && failed.code, "backend_full");
});

/** A store with a lock, whose steps are told. */
class StepBackend extends SpyBackend {
  readonly persistent = true;
  readonly steps: string[] = [];
  #isLocked = false;
  override before = (method: string, key: string) => {
    if (method === "get") return;
    const what = isProbeKey(key) ? "probe" : "entry";
    this.steps.push(`${method} ${what}${this.#isLocked ? "" : " without the lock"}`);
  };
  async withLock<T>(_key: string, fn: () => Promise<T>): Promise<T> {
    this.#isLocked = true;
    return await fn().finally(() => this.#isLocked = false);
  }
}

async function stepsOfRefresh(backend: StepBackend): Promise<string[]> {
  await using world = await scriptedProviderWorld();
  const session = await createSession({ ...world.options, credentialsBackend: backend });
  world.provider.script.token.push(() => {
    backend.steps.push("request");
    return world.provider.tokens();
  });
  backend.steps.length = 0;
  await session.accessToken({ forceRefresh: true });
  return backend.steps;
}

Deno.test("proof: a probe entry is written and removed under the lock, before the token is sent", async () => {
  const steps = await stepsOfRefresh(new StepBackend());
  assertEquals(steps, ["put probe", "delete probe", "request", "put entry"]);
});

Deno.test("proof: a store that proves its writes, and one in memory, need no probe entry", async () => {
  const proving = Object.assign(new StepBackend(), { [PROVES]: true });
  assertEquals(await stepsOfRefresh(proving), ["request", "put entry"]);
  const fleeting = Object.assign(new StepBackend(), { persistent: false });
  assertEquals(await stepsOfRefresh(fleeting), ["request", "put entry"]);
});

test("proof: a probe entry that a kill has left is removed by the next refresh, and by clear", async (world) => {
  const backend = new SpyBackend();
  const session = await createSession({ ...world.options, credentialsBackend: backend });
  const left = await probeKey(world.key);
  const leave = () => backend.rows.set(left, { ...backend.rows.get(world.key)! });
  leave();
  await session.accessToken({ forceRefresh: true });
  assertEquals([...backend.rows.keys()], [world.key]);
  leave();
  backend.before = () => new Promise((resolve) => setTimeout(resolve)); // as any store over a network
  assertEquals((await session.clear()).keys, [world.key]);
  assertEquals(backend.rows.size, 0);
});

Deno.test({
  name: "vanished store: new tokens are neither lost nor revoked, and stored once it is back",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using folder = await tempDir();
    await using world = await scriptedProviderWorld();
    const parent = `${folder.path}/inner`;
    const store = new FileCredentialsBackend({ path: `${parent}/credentials.json` });
    const session = await createSession({ ...world.options, credentialsBackend: store });
    world.provider.script.token.push(() => {
      Deno.renameSync(parent, `${parent}.away`);
      return world.provider.tokens();
    });
    const run = () => session.accessToken({ forceRefresh: true });
    await rejectsWith("credentials_not_stored", run, "folder was removed");
    const inMemory = await session.accessToken();
    const again = await createSession({
      ...world.options,
      credentialsBackend: new FileCredentialsBackend({ path: store.path }),
    });
    assertEquals(await again.accessToken(), inMemory);
    Deno.renameSync(`${parent}.away`, parent);
    world.clock.advance(11_000); // a fault is bridged for ten seconds
    const token = await session.accessToken();
    assert(world.provider.isActive(token));
    assertEquals(token, inMemory);
    assertEquals(store.get(world.key)?.access_token, token);
  },
});

test.signedIn("sign-out during a refresh: its tokens are revoked, and nothing is stored", async ({ session, ...world }) => {
  const obtained = await world.provider.tokens();
  const { access_token, refresh_token } = await obtained.clone().json();
  world.provider.script.token.push(() => {
    world.backend.delete(world.key); // another process, which did not wait for the lock
    return obtained;
  });
  world.provider.reset();
  const run = () => session.accessToken({ forceRefresh: true });
  await rejectsWith("login_required", run, "removed while its token was refreshed");
  assertEquals(world.backend.get(world.key), undefined);
  assertEquals(
    [world.provider.isActive(access_token), world.provider.isActive(refresh_token)],
    [false, false],
  );
  const revoked = world.provider.requests.filter(({ path }) => path === "/revoke");
  assertEquals(revoked.map(({ form }) => form.token_type_hint), ["refresh_token", "access_token"]);
});

test.signedIn("sign-out during a refresh: a new sign-in in between wins, too", async ({ session, ...world }) => {
  const theirs = {
    access_token: "their-access",
    refresh_token: "their-refresh",
    expires_at: new Date(world.clock.now() + HOUR).toISOString(),
  };
  world.provider.script.token.push(() => {
    world.amend(theirs);
    return world.provider.tokens();
  });
  assertEquals(await session.accessToken({ forceRefresh: true }), "their-access");
  assertEquals(world.stored().refresh_token, "their-refresh");
});

test.real("spent refresh token: is not sent again, also where no session holds the successor", async (world) => {
  const options = { ...world.options, interactive: false };
  const session = await createSession({ ...options, interactive: true });
  const older = world.stored();
  await session.accessToken({ forceRefresh: true });
  const { refresh_token } = world.stored();
  await session.close();
  world.backend.put(world.key, older);
  world.clock.advance(HOUR);
  world.provider.reset();
  await rejectsWith("login_required", () => createSession(options));
  assertEquals(refreshes(world), 0);
  assert(await world.provider.isActive(refresh_token!));
});

class OtherBack extends SpyBackend {
  override async get(key: string): Promise<OidcCredentials | undefined> {
    const entry = await super.get(key);
    return entry && { ...entry, access_token: "another" };
  }
}

class NothingBack extends SpyBackend {
  override async get(key: string): Promise<undefined> {
    await super.get(key);
  }
}

class KeepsAll extends SpyBackend {
  override delete(): Promise<void> {
    return Promise.resolve();
  }
}

for (const Backend of [OtherBack, NothingBack, KeepsAll]) {
  test.real(`probe: ${Backend.name} is found out before the provider hears of it`, async (world) => {
    const backend = new Backend();
    const run = () => createSession({ ...world.options, credentialsBackend: backend });
    await rejectsWith("backend_unproven", run, Backend.name);
    assertEquals([world.provider.requests, world.codes], [[], []]);
    if (Backend !== KeepsAll) assertEquals(backend.rows.size, 0);
  });
}

for (const method of ["put", "get", "delete"] as const) {
  test.real(`probe: a ${method} that fails ends the sign-in before the provider hears of it`, async (world) => {
    const backend = new SpyBackend();
    const problem = new CredentialsBackendError(
      "backend_unavailable",
      "Cannot write: the disk is gone. Mend it.",
    );
    backend.before = (called, key) => {
      if (called === method && key !== world.key) throw problem;
    };
    const run = () => createSession({ ...world.options, credentialsBackend: backend });
    const { message } = await rejectsWith("backend_unavailable", run);
    assertEquals(message, problem.message);
    assertEquals([world.provider.requests, world.codes], [[], []]);
    if (method !== "delete") assertEquals(backend.rows.size, 0);
  });
}

test("probe: leaves nothing behind", async (world) => {
  const backend = new SpyBackend();
  const options = { ...world.options, credentialsBackend: backend };
  let atFirstRequest: number | undefined;
  world.provider.script.discovery.push(() => {
    atFirstRequest = backend.rows.size;
  });
  await createSession(options);
  assertEquals([atFirstRequest, [...backend.rows.keys()]], [0, [world.key]]);
});
