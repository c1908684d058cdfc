import { assert, assertEquals } from "@std/assert";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import type { WithLockOptions } from "../../../backends/oidc_credentials_backend.ts";
import { createSession } from "../../../client/create_session.ts";
import type { ScriptedProvider } from "../../support/scripted_provider.ts";
import {
  HOUR,
  type ProviderWorld,
  refreshes,
  scriptedProviderWorld,
  test,
} from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const FULL = new CredentialsBackendError("backend_full", "Cannot write: no space is left.");
const LOCKED = new CredentialsBackendError("backend_locked", "Cannot lock: another has it.");

/** One of several instances that lead to one store without a lock of its own. */
class SharedBackend extends SpyBackend {
  override readonly rows: SpyBackend["rows"];
  readonly persistent: boolean = true;
  readonly location: string;
  constructor(rows: SpyBackend["rows"], location: string) {
    super();
    this.rows = rows;
    this.location = location;
  }
}

function pair(location = crypto.randomUUID(), Backend = SharedBackend) {
  const rows = new Map();
  return [new Backend(rows, location), new Backend(rows, location)] as const;
}

test("shared store: two instances with one location share the refresh", async (world) => {
  const sessions = [];
  for (const credentialsBackend of pair()) {
    sessions.push(await createSession({ ...world.options, credentialsBackend }));
  }
  world.clock.advance(HOUR);
  const tokens = await Promise.all(sessions.map((session) => session.accessToken()));
  assertEquals([refreshes(world), new Set(tokens).size, world.codes.length], [1, 1, 1]);
});

test("shared store: what one could not store, the other has, and stores", async (world) => {
  const [one, two] = pair();
  one.before = (method, key) => {
    if (method === "put" && key === world.key) throw FULL;
  };
  const options = (backend: SpyBackend) => ({ ...world.options, credentialsBackend: backend });
  await rejectsWith("credentials_not_stored", () => createSession(options(one)));
  const session = await createSession({ ...options(two), interactive: false });
  assertEquals(two.rows.get(world.key)?.access_token, await session.accessToken());
});

/** A store with a lock, which tells whether a write came under it. */
class LockedBackend extends SpyBackend {
  isLocked = false;
  fails = false;
  readonly bare: string[] = [];
  override async put(...args: Parameters<SpyBackend["put"]>): Promise<void> {
    if (!this.isLocked && !args[0].startsWith("probe|")) this.bare.push(args[0]);
    await super.put(...args);
  }
  async withLock<T>(_key: string, fn: () => Promise<T>, _?: WithLockOptions<T>): Promise<T> {
    if (this.fails) throw LOCKED;
    this.isLocked = true;
    try {
      return await fn();
    } finally {
      this.isLocked = false;
    }
  }
}

/** A session whose rotated tokens could not be stored. */
async function withUnstored(world: ProviderWorld<ScriptedProvider>) {
  const backend = new LockedBackend();
  const options = { ...world.options, credentialsBackend: backend };
  const session = await createSession(options);
  backend.before = (method, key) => {
    if (method === "put" && key === world.key) throw FULL;
  };
  await rejectsWith("credentials_not_stored", () => session.accessToken({ forceRefresh: true }));
  backend.before = undefined;
  return { backend, options, session };
}

Deno.test("unstored: the write is tried again under the lock, by whatever comes first", async () => {
  for (const use of ["load", "accessToken"] as const) {
    await using world = await scriptedProviderWorld();
    const { backend, options, session } = await withUnstored(world);
    world.clock.advance(use === "load" ? 0 : HOUR - 130_000);
    const old = backend.rows.get(world.key)!;
    await (use === "load" ? createSession(options) : session.accessToken({ forceRefresh: true }));
    assert(backend.rows.get(world.key)!.refresh_token !== old.refresh_token);
    assertEquals([backend.bare, world.codes.length], [[], 1]);
  }
});

test("unstored: without the lock nothing is written, and the tokens serve", async (world) => {
  const { backend, options } = await withUnstored(world);
  const old = backend.rows.get(world.key)!;
  backend.fails = true;
  const session = await createSession({ ...options, interactive: false });
  assert(world.provider.isActive(await session.accessToken()));
  assertEquals([backend.rows.get(world.key), backend.bare], [old, []]);
  backend.fails = false;
  const next = await createSession({ ...options, interactive: false });
  assertEquals(backend.rows.get(world.key)?.access_token, await next.accessToken());
});

test("unstored: an entry that another process has stored is not overwritten", async (world) => {
  const { backend, options, session } = await withUnstored(world);
  const theirs = {
    ...backend.rows.get(world.key)!,
    access_token: "their-access",
    refresh_token: "their-refresh",
    expires_at: new Date(world.clock.now() + 2 * HOUR).toISOString(),
  };
  backend.rows.set(world.key, theirs);
  world.clock.advance(HOUR);
  assertEquals(await session.accessToken(), "their-access");
  assertEquals(await (await createSession(options)).accessToken(), "their-access");
  assertEquals(backend.rows.get(world.key), theirs);
});

test("unstored: nor is a sign-out of another process undone", async (world) => {
  const { backend, options } = await withUnstored(world);
  backend.rows.delete(world.key);
  await rejectsWith("login_required", () => createSession({ ...options, interactive: false }));
  assertEquals(backend.rows.size, 0);
});

test("unstored: tokens of a new sign-in win over whatever is stored by then", async (world) => {
  const backend = new LockedBackend();
  const options = { ...world.options, credentialsBackend: backend, scope: "openid" };
  await createSession(options);
  const more = { ...options, scope: "openid more" };
  backend.before = (method, key) => {
    if (method === "put" && key === world.key) throw FULL;
  };
  await rejectsWith("credentials_not_stored", () => createSession(more), "no space is left");
  backend.before = undefined;
  backend.rows.set(world.key, { ...backend.rows.get(world.key)!, refresh_token: "their-refresh" });
  const session = await createSession({ ...more, interactive: false });
  assertEquals(backend.rows.get(world.key)?.scope, "openid more");
  assertEquals(await session.accessToken(), backend.rows.get(world.key)?.access_token);
  assertEquals([backend.bare, world.codes.length], [[], 2]);
});
