import { assert, assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { HOUR, refreshes, test } from "../../support/provider_world.ts";
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

/** A lock that keeps other processes out, but not the callers of this one. */
function lockPerProcess(): SpyBackend {
  return Object.assign(new SpyBackend(), {
    withLock: <T>(_key: string, fn: () => Promise<T>): Promise<T> => fn(),
  });
}

for (
  const [what, makeBackend] of [
    ["with a lock", undefined],
    ["with a lock among processes only", lockPerProcess],
    ["without a lock", () => new SpyBackend()],
  ] as const
) {
  test.real(`one refresh: two sessions of one process, over a backend ${what}`, async (world) => {
    const backend = makeBackend?.() ?? world.backend;
    const options = { ...world.options, credentialsBackend: backend };
    const sessions = [await createSession(options), await createSession(options)];
    world.clock.advance(HOUR);
    const tokens = await Promise.all(
      [...sessions, ...sessions].map((session) => session.accessToken()),
    );
    assertEquals([refreshes(world), new Set(tokens).size, world.codes.length], [1, 1, 1]);
    assert(await world.provider.isActive(tokens[0]!));
    const force = () => sessions[0]!.accessToken({ forceRefresh: true });
    const forced = new Set([...await Promise.all(times(9, force)), await force(), tokens[0]]);
    assertEquals([refreshes(world), forced.size], [3, 3]);
  });
}

test.signedIn("a sign-out during a refresh wins: entry and session are without tokens", async ({ session, ...world }) => {
  world.clock.advance(HOUR);
  const arrived = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  world.provider.script.token.push(async () => {
    arrived.resolve();
    await gate.promise;
  });
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
