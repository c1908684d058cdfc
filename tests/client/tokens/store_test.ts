import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../../backends/oidc_credentials_backend.ts";
import { createSession } from "../../../client/create_session.ts";
import { CredentialStore } from "../../../client/tokens/store.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { oidcProviderWorld, scriptedProviderWorld } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { tokensOf } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const HOUR = 3600_000;

/** Lets the writes of one key fail, `times` times. Each is tried twice. */
function failPuts(backend: SpyBackend, key: string, times: number, error: unknown): void {
  let left = 2 * times;
  backend.before = (method, called) => {
    if (method === "put" && called === key && left-- > 0) throw error;
  };
}

const FULL = new CredentialsBackendError("backend_full", "Cannot write: no space is left.");

Deno.test("failed write after a rotation: told once, then usable, written at the next use", async () => {
  await using world = await oidcProviderWorld();
  const backend = new SpyBackend();
  const session = await createSession({ ...world.options, credentialsBackend: backend });
  const old = backend.rows.get(world.key)!;
  failPuts(backend, world.key, 2, FULL);
  world.clock.advance(HOUR);
  world.provider.reset();
  const words = ["no space is left", "SpyBackend", "usable in this process"];
  const error = await rejectsWith("credentials_not_stored", () => session.accessToken(), ...words);
  assertEquals(error.cause, FULL);
  assertEquals(backend.rows.get(world.key), old);
  const token = await session.accessToken(); // the second write fails, too, silently
  assert(await world.provider.isActive(token));
  assertEquals(backend.rows.get(world.key), old);
  const again = await session.accessToken({ forceRefresh: true }); // third: written, then renewed
  const stored = backend.rows.get(world.key)!;
  assertEquals(stored.access_token, again);
  const refreshes = world.provider.requests.filter(({ path }) => path === "/token");
  // No refresh token was used twice, or the provider would have ended the grant.
  assertEquals(new Set(refreshes.map(({ form }) => form.refresh_token)).size, 2);
  assertEquals(refreshes.map(({ status }) => status), [200, 200]);
  assert(await world.provider.isActive(stored.refresh_token!));
});

Deno.test("failed write: the next session of the process has the tokens, and writes them", async () => {
  await using world = await oidcProviderWorld();
  const backend = new SpyBackend();
  const options = { ...world.options, credentialsBackend: backend };
  failPuts(backend, world.key, 1, FULL);
  await rejectsWith("credentials_not_stored", () => createSession(options));
  assertEquals(backend.rows.size, 0);
  const session = await createSession({ ...options, interactive: false });
  assertEquals(backend.rows.get(world.key)?.access_token, await session.accessToken());
  assertEquals(world.codes.length, 1);
});

Deno.test("failed write: one that fails once is tried again at once, and nobody hears of it", async () => {
  await using world = await scriptedProviderWorld();
  const backend = new SpyBackend();
  const session = await createSession({ ...world.options, credentialsBackend: backend });
  let left = 1;
  backend.before = (method, key) => {
    if (method === "put" && key === world.key && left-- > 0) throw FULL;
  };
  const token = await session.accessToken({ forceRefresh: true });
  assertEquals([backend.rows.get(world.key)?.access_token, left], [token, -1]);
});

Deno.test("failed write: a sign-out before the second try is not undone", async () => {
  await using world = await scriptedProviderWorld();
  const backend = new SpyBackend();
  const session = await createSession({ ...world.options, credentialsBackend: backend });
  backend.before = (method, key) => {
    if (method !== "put" || key !== world.key) return;
    backend.rows.delete(key); // another process
    throw FULL;
  };
  const run = () => session.accessToken({ forceRefresh: true });
  await rejectsWith("login_required", run, "removed while its token was refreshed");
  assertEquals(backend.rows.has(world.key), false);
});

Deno.test("failed write: an error that quotes the tokens is not passed on", async () => {
  await using world = await scriptedProviderWorld();
  const backend = new SpyBackend();
  let entry: OidcCredentials | undefined;
  backend.put = (key, value) => {
    if (key !== world.key) return SpyBackend.prototype.put.call(backend, key, value);
    entry = value;
    return Promise.reject(new Error(`no room for ${JSON.stringify(value)}`));
  };
  const options = { ...world.options, credentialsBackend: backend };
  const words = ["it threw Error, whose text is left out"];
  const error = await rejectsWith("credentials_not_stored", () => createSession(options), ...words);
  assertInstanceOf(error.cause, CredentialsBackendError);
  assertEquals([error.cause.code, error.cause.cause], ["backend_unavailable", undefined]);
  assertNoSecret(error, tokensOf(entry!));
});

Deno.test("failed write: what another process has stored meanwhile wins", async () => {
  await using world = await scriptedProviderWorld();
  const backend = new SpyBackend();
  const options = { ...world.options, credentialsBackend: backend };
  const session = await createSession(options);
  failPuts(backend, world.key, 1, FULL);
  await rejectsWith("credentials_not_stored", () => session.accessToken({ forceRefresh: true }));
  const theirs = {
    ...backend.rows.get(world.key)!,
    access_token: "their-access",
    refresh_token: "their-refresh",
  };
  backend.rows.set(world.key, theirs);
  assertEquals(await (await createSession(options)).accessToken(), "their-access");
  assertEquals(backend.rows.get(world.key), theirs);
});

Deno.test("failed write: one that was done without an answer does not cost the tokens after it", async () => {
  await using world = await oidcProviderWorld();
  const backend = new SpyBackend();
  const options = { ...world.options, credentialsBackend: backend };
  const session = await createSession(options);
  failPuts(backend, world.key, 1, FULL);
  await rejectsWith("credentials_not_stored", () => session.accessToken({ forceRefresh: true }));
  // The first repeat fails. The second one, right before the request, is done without an answer.
  const put = backend.put.bind(backend);
  let puts = 0;
  backend.put = async (key, entry) => {
    if (key === world.key && ++puts === 1) throw FULL;
    await put(key, entry);
    if (key === world.key && puts === 2) throw FULL;
  };
  const token = await session.accessToken({ forceRefresh: true });
  const stored = backend.rows.get(world.key)!;
  assertEquals([puts, stored.access_token], [3, token]);
  assert(await world.provider.isActive(stored.refresh_token!));
});

Deno.test("failed write: a late write of the tokens before it does not cost the latest ones", async () => {
  await using world = await oidcProviderWorld();
  const backend = new SpyBackend();
  const options = { ...world.options, credentialsBackend: backend };
  const session = await createSession(options);
  let first: OidcCredentials | undefined;
  const put = backend.put.bind(backend);
  backend.put = (key, entry) => {
    if (key !== world.key) return put(key, entry);
    first ??= entry;
    return Promise.reject(FULL);
  };
  const refresh = () => session.accessToken({ forceRefresh: true });
  await rejectsWith("credentials_not_stored", refresh);
  await rejectsWith("credentials_not_stored", refresh);
  backend.put = put;
  await put(world.key, first!);
  const next = await createSession({ ...options, interactive: false });
  const token = await next.accessToken({ forceRefresh: true });
  const stored = backend.rows.get(world.key)!;
  assertEquals(stored.access_token, token);
  assert(await world.provider.isActive(stored.refresh_token!));
});

Deno.test("failed write: a sign-out forgets it", async () => {
  await using world = await scriptedProviderWorld();
  const backend = new SpyBackend();
  const options = { ...world.options, credentialsBackend: backend };
  const session = await createSession(options);
  failPuts(backend, world.key, 1, FULL);
  await rejectsWith("credentials_not_stored", () => session.accessToken({ forceRefresh: true }));
  await session.clear();
  assertEquals(backend.rows.size, 0);
  await rejectsWith("login_required", () => createSession({ ...options, interactive: false }));
});

Deno.test("sign-in: a store that cannot be read after the approval loses no tokens", async () => {
  await using world = await oidcProviderWorld();
  const backend = new SpyBackend();
  const options = { ...world.options, credentialsBackend: backend };
  let isBroken = false;
  backend.before = (method) => {
    if (isBroken && method === "get") throw FULL;
  };
  const approve = world.clock.onDelay!;
  world.clock.onDelay = async (count) => {
    await approve(count);
    isBroken = true;
  };
  await createSession(options); // which replaces whatever is there, and need not read it
  isBroken = false;
  const session = await createSession({ ...options, interactive: false });
  assertEquals(backend.rows.get(world.key)?.access_token, await session.accessToken());
  assert(await world.provider.isActive(await session.accessToken()));
  assertEquals(world.codes.length, 1);
});

Deno.test("sign-in: a lock that cannot be had after the approval loses no tokens", async () => {
  await using world = await oidcProviderWorld();
  const spy = new SpyBackend();
  let isLocked = false;
  const locked = new CredentialsBackendError(
    "backend_locked",
    "Cannot lock: somebody else has it. Wait.",
  );
  const backend: OidcCredentialsBackend = Object.assign(spy, {
    withLock<T>(_key: string, fn: () => Promise<T>): Promise<T> {
      return isLocked ? Promise.reject(locked) : fn();
    },
  });
  const options = { ...world.options, credentialsBackend: backend };
  const approve = world.clock.onDelay!;
  world.clock.onDelay = async (count) => {
    await approve(count);
    isLocked = true;
  };
  const error = await rejectsWith("credentials_not_stored", () => createSession(options));
  assertEquals([error.cause, spy.rows.size], [locked, 0]);
  isLocked = false;
  const session = await createSession({ ...options, interactive: false });
  assertEquals(spy.rows.get(world.key)?.access_token, await session.accessToken());
  assertEquals(world.codes.length, 1);
});

Deno.test("sign-in: nor when it was to replace an entry of less scope", async () => {
  await using world = await scriptedProviderWorld();
  let isLocked = false;
  const backend = Object.assign(new SpyBackend(), {
    withLock<T>(_key: string, fn: () => Promise<T>): Promise<T> {
      if (!isLocked) return fn();
      return Promise.reject(new CredentialsBackendError("backend_locked", "Cannot lock it."));
    },
  });
  const options = { ...world.options, credentialsBackend: backend };
  await createSession({ ...options, scope: "openid" });
  world.clock.onDelay = () => {
    isLocked = true;
  };
  const run = () => createSession({ ...options, scope: "openid more" });
  await rejectsWith("credentials_not_stored", run, "Cannot lock it.");
  world.clock.onDelay = undefined;
  isLocked = false;
  await createSession({ ...options, scope: "openid more", interactive: false });
  assertEquals([backend.rows.get(world.key)?.scope, world.codes.length], ["openid more", 2]);
});

Deno.test("a locked store is bridged by a token in its last minutes, and an error after", async () => {
  await using world = await scriptedProviderWorld();
  let isLocked = false;
  const locked = new CredentialsBackendError(
    "backend_locked",
    "Cannot lock: somebody else has it. Wait.",
  );
  const backend = Object.assign(new SpyBackend(), {
    withLock<T>(_key: string, fn: () => Promise<T>): Promise<T> {
      return isLocked ? Promise.reject(locked) : fn();
    },
  });
  const session = await createSession({ ...world.options, credentialsBackend: backend });
  isLocked = true;
  world.clock.advance(HOUR - 60_000);
  assertEquals(await session.accessToken(), backend.rows.get(world.key)?.access_token);
  world.clock.advance(60_000);
  await rejectsWith("backend_locked", () => session.accessToken(), locked.message);
});

Deno.test("withLock: a backend without one queues within the process", async () => {
  const backend = new SpyBackend();
  const order: string[] = [];
  const stores = ["k", "k"].map((key) => new CredentialStore(backend, key));
  const gate = Promise.withResolvers<void>();
  const first = stores[0]!.withLock(async () => {
    order.push("first in");
    await gate.promise;
    order.push("first out");
  });
  const second = stores[1]!.withLock(() => Promise.resolve(order.push("second")));
  await new CredentialStore(backend, "other").withLock(() => Promise.resolve(order.push("other")));
  gate.resolve();
  await Promise.all([first, second]);
  assertEquals(order, ["first in", "other", "first out", "second"]);
});
