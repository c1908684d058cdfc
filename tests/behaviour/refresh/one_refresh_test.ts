import { assert, assertEquals } from "@std/assert";
import {
  answerWith,
  HOUR,
  refreshes,
  renew,
  scriptedProviderWorld,
  test,
} from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

function times<T>(count: number, run: () => T): T[] {
  return Array.from({ length: count }, run);
}

test.realSignedIn("one refresh: a hundred requests at the token's end", async ({ session, ...world }) => {
  world.clock.advance(HOUR);
  const answers = await Promise.all(times(100, async () => {
    const response = await session.fetch("thing");
    await response.body?.cancel();
    return response.status;
  }));
  assertEquals([refreshes(world), new Set(answers)], [1, new Set([200])]);
});

test.realSignedIn("one refresh: twenty requests that the API refuses", async ({ session, ...world }) => {
  world.provider.expireAccessTokens();
  const answers = await Promise.all(times(20, () => session.get("thing")));
  assertEquals([refreshes(world), answers.length], [1, 20]);
});

/** Two instances with one identity, of one store without a lock of its own. */
function twoInstances(): SpyBackend[] {
  const shared = { storeId: crypto.randomUUID(), persistent: true, rows: new Map() };
  return times(2, () => Object.assign(new SpyBackend(), shared));
}

/** A lock that keeps other processes out, but not the callers of this one. */
const lockPerProcess = () =>
  Object.assign(new SpyBackend(), { withLock: <T>(_: string, fn: () => Promise<T>) => fn() });

const STORES: Record<string, () => SpyBackend[] | undefined> = {
  "a store with a lock": () => undefined,
  "one with a lock among processes only": () => [lockPerProcess()],
  "one without a lock": () => [new SpyBackend()],
  "two instances with one identity": twoInstances,
};

for (const [what, make] of Object.entries(STORES)) {
  test.real(`one refresh: two sessions of one process, over ${what}`, async (world) => {
    const [one, two = one] = make() ?? [world.backend];
    const first = await world.signIn({ credentialsBackend: one! });
    const sessions = [first, await world.signIn({ credentialsBackend: two! })];
    world.clock.advance(HOUR);
    const tokens = await Promise.all([...sessions, ...sessions].map((one) => one.accessToken()));
    assertEquals([refreshes(world), new Set(tokens).size, world.codes.length], [1, 1, 1]);
    assert(await world.provider.isActive(tokens[0]!));
    const joined = await Promise.all(times(9, () => renew(first)));
    const forced = new Set([...joined, await renew(first), tokens[0]]);
    assertEquals([refreshes(world), forced.size], [3, 3]);
  });
}

/** Less than the longest skew of 120 s: its own is 10 s. */
const LIFE = { accessTokenTtl: 100 };

Deno.test("short token: without a refresh token it is used until its real end", async () => {
  await using world = await scriptedProviderWorld(LIFE);
  answerWith(world, { refresh_token: undefined });
  const session = await world.signIn();
  const { access_token } = world.stored();
  for (const seconds of [0, 30, 30, 39]) { // 0, 30, 60, 99
    world.clock.advance(seconds * 1000);
    assertEquals(await session.accessToken(), access_token);
    assertEquals((await session.status()).signedIn, true);
  }
  world.clock.advance(1000);
  await rejectsWith("login_required", () => session.accessToken(), "no refresh token");
  assertEquals([refreshes(world), world.codes.length], [0, 1]);
});

Deno.test("short token: five calls in a row make one refresh, and read the store no more", async () => {
  await using world = await scriptedProviderWorld(LIFE);
  const backend = new SpyBackend();
  const session = await world.signIn({ credentialsBackend: backend });
  backend.calls.length = 0;
  for (const [seconds, count] of [[0, 0], [89, 0], [1, 1], [89, 1], [1, 2]] as const) {
    world.clock.advance(seconds * 1000);
    const tokens = new Set<string>();
    for (let call = 0; call < 5; call++) tokens.add(await session.accessToken());
    assertEquals([refreshes(world), tokens.size], [count, 1]);
    if (count === 0) assertEquals(backend.calls, []);
  }
});

Deno.test("short token: a row without its lifetime, from Python, makes one refresh at a start", async () => {
  await using world = await scriptedProviderWorld(LIFE);
  await world.signIn();
  const { lifetime, ...row } = world.stored();
  assertEquals(lifetime, 100);
  world.backend.put(world.key, row);
  const session = await world.signIn({ interactive: false });
  for (let call = 0; call < 5; call++) await session.accessToken();
  assertEquals([refreshes(world), world.codes.length], [1, 1]);
});
