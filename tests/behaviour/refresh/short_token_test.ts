import { assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { refreshes, scriptedProviderWorld } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

/** Less than the longest skew of 120 s: its own is 10 s. */
const LIFE = { accessTokenTtl: 100 };

Deno.test("short token: without a refresh token it is used until its real end", async () => {
  await using world = await scriptedProviderWorld(LIFE);
  world.provider.script.token.push(() => world.provider.tokens({ refresh_token: undefined }));
  const session = await createSession(world.options);
  const { access_token } = world.stored();
  world.clock.onDelay = undefined;
  for (const seconds of [0, 30, 30, 39]) { // 0, 30, 60, 99
    world.clock.advance(seconds * 1000);
    assertEquals(await session.accessToken(), access_token);
    assertEquals((await session.status()).signedIn, true);
  }
  world.clock.advance(1000);
  await rejectsWith("login_required", () => session.accessToken(), "no refresh token");
  assertEquals([refreshes(world), world.codes.length], [0, 1]);
});

Deno.test("short token: five calls in a row make one refresh", async () => {
  await using world = await scriptedProviderWorld(LIFE);
  const session = await createSession(world.options);
  const first = world.stored().access_token;
  for (let call = 0; call < 5; call++) assertEquals(await session.accessToken(), first);
  assertEquals(refreshes(world), 0); // it has just come from the sign-in
  world.clock.advance(89_000);
  await session.accessToken();
  assertEquals(refreshes(world), 0);
  world.clock.advance(1000);
  const tokens = new Set<string>();
  for (let call = 0; call < 5; call++) tokens.add(await session.accessToken());
  assertEquals([refreshes(world), [...tokens]], [1, [world.stored().access_token]]);
  world.clock.advance(89_000);
  await session.accessToken();
  assertEquals(refreshes(world), 1);
  world.clock.advance(1000);
  await session.accessToken();
  assertEquals(refreshes(world), 2);
});

Deno.test("short token: a row without its lifetime, from Python, makes one refresh at a start", async () => {
  await using world = await scriptedProviderWorld(LIFE);
  await createSession(world.options);
  const { lifetime, ...row } = world.stored();
  assertEquals(lifetime, 100);
  world.backend.put(world.key, row);
  const session = await createSession({ ...world.options, interactive: false });
  for (let call = 0; call < 5; call++) await session.accessToken();
  assertEquals([refreshes(world), world.codes.length], [1, 1]);
});

Deno.test("short token: the backend is not read at each use", async () => {
  await using world = await scriptedProviderWorld(LIFE);
  const backend = new SpyBackend();
  const session = await createSession({ ...world.options, credentialsBackend: backend });
  backend.calls.length = 0;
  for (let call = 0; call < 5; call++) await session.accessToken();
  assertEquals(backend.calls, []);
});
