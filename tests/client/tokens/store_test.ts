import { createSession, type CredentialsBackendError, type OidcCredentials } from "@validmind/auth";
import { HOUR, scriptedProviderWorld, test } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { assert, assertEquals } from "@std/assert";
import { storeError } from "../../support/error_parts.ts";

const FULL = storeError("backend_full", "Cannot write: no space is left.");
const LOCKED = storeError("backend_locked", "Cannot lock: another has it. Wait.");

/** Lets the writes of one key fail, `times` times. Each is tried twice. */
function failPuts(backend: SpyBackend, key: string, times: number, error: unknown): void {
  let left = 2 * times;
  backend.before = (method, called) => {
    if (method === "put" && called === key && left-- > 0) throw error;
  };
}

test.real("failed write after a rotation: told once, then usable, written at the next use", async (world) => {
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

Deno.test("failed write: one that fails once is tried again at once, unless a sign-out came before", async () => {
  for (const isSignedOut of [false, true]) {
    await using world = await scriptedProviderWorld();
    const backend = new SpyBackend();
    const session = await createSession({ ...world.options, credentialsBackend: backend });
    let left = 1;
    backend.before = (method, key) => {
      if (method !== "put" || key !== world.key || left-- <= 0) return;
      if (isSignedOut) backend.rows.delete(key); // by another process
      throw FULL;
    };
    const run = () => session.accessToken({ forceRefresh: true });
    if (isSignedOut) {
      await rejectsWith("login_required", run, "removed while its token was refreshed");
      assertEquals(backend.rows.has(world.key), false);
    } else assertEquals(await run(), backend.rows.get(world.key)?.access_token);
  }
});

test.real("failed write: one that was done without an answer does not cost the tokens after it", async (world) => {
  const backend = new SpyBackend();
  const session = await createSession({ ...world.options, credentialsBackend: backend });
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
  assert(puts > 2);
  assertEquals(stored.access_token, token);
  assert(await world.provider.isActive(stored.refresh_token!));
});

test.real("failed write: a late write of the tokens before it does not cost the latest ones", async (world) => {
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

Deno.test("sign-in: a store that cannot be locked after the approval loses no tokens", async () => {
  for (const isReplacement of [false, true]) {
    await using world = await scriptedProviderWorld();
    let isLocked = false;
    const backend = Object.assign(new SpyBackend(), {
      withLock: <T>(_: string, fn: () => Promise<T>) => isLocked ? Promise.reject(LOCKED) : fn(),
    });
    const options = { ...world.options, credentialsBackend: backend, scope: "openid more" };
    if (isReplacement) await createSession({ ...options, scope: "openid" });
    const before = backend.rows.get(world.key);
    world.clock.onDelay = () => {
      isLocked = true;
    };
    const error = await rejectsWith("credentials_not_stored", () => createSession(options));
    assertEquals([error.cause, backend.rows.get(world.key)], [LOCKED, before]);
    isLocked = false;
    const session = await createSession({ ...options, interactive: false });
    const { access_token, scope } = backend.rows.get(world.key)!;
    assertEquals([access_token, scope], [await session.accessToken(), "openid more"]);
    assertEquals(world.codes.length, isReplacement ? 2 : 1);
    // Once it is stored, it replaces nothing that comes later.
    const theirs = { ...backend.rows.get(world.key)!, access_token: "theirs", refresh_token: "r" };
    backend.rows.set(world.key, theirs);
    const later = await createSession({ ...options, interactive: false });
    assertEquals([await later.accessToken(), backend.rows.get(world.key)], ["theirs", theirs]);
  }
});

const LATE: [fault: CredentialsBackendError, waits: "provider" | "store" | "failing store"][] = [
  [LOCKED, "provider"],
  [LOCKED, "store"],
  [LOCKED, "failing store"],
  [FULL, "provider"],
];

for (const [fault, waits] of LATE) {
  test(`failed write: a refresh that waits for the ${waits} does not cost the sign-in meanwhile: ${fault.code}`, async (world) => {
    let isFaulty = false;
    const backend = new SpyBackend();
    const options = { ...world.options, credentialsBackend: backend };
    const session = await createSession(options);
    const scope = `${(await session.status()).scope} more`;
    if (fault === LOCKED) {
      Object.assign(backend, {
        withLock: <T>(_: string, fn: () => Promise<T>) => isFaulty ? Promise.reject(LOCKED) : fn(),
      });
    }
    const [asked, late] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const wait = async () => {
      asked.resolve();
      await late.promise;
    };
    const put = backend.put.bind(backend);
    backend.put = async (key, entry) => {
      if (isFaulty && entry.scope === scope) throw FULL;
      if (waits !== "provider" && key === world.key && entry.scope !== scope) {
        await wait();
        if (waits === "failing store" && isFaulty) throw FULL;
      }
      await put(key, entry);
    };
    let refresh = Promise.resolve("");
    world.clock.onDelay = async () => { // the store has its proof, and the person is about to approve
      if (waits === "provider") world.provider.script.token.push(wait);
      refresh = session.accessToken({ forceRefresh: true });
      await asked.promise;
      isFaulty = true;
      if (fault === FULL) backend.before = () => late.resolve(); // the sign-in waits for the lock
    };
    await rejectsWith("credentials_not_stored", () => createSession({ ...options, scope }));
    late.resolve();
    await refresh;
    isFaulty = false;
    const token = await session.accessToken({ forceRefresh: true });
    const stored = backend.rows.get(world.key)!;
    assertEquals([stored.access_token, stored.scope], [token, scope]);
  });
}
