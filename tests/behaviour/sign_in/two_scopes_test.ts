import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import type { Session } from "../../../client/session.ts";
import { HOUR, type ProviderWorld, test } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import type { TestOidcProvider } from "../../support/oidc_provider.ts";

const NARROW = "openid email offline_access";
const OTHER = "openid profile offline_access";

async function sessionsOf(
  world: ProviderWorld<TestOidcProvider>,
  first: object,
  second: object,
): Promise<[Session, Session]> {
  return [
    await createSession({ ...world.options, ...first }),
    await createSession({ ...world.options, ...second }),
  ];
}

test.real("two scopes: a session does not go over to a grant that lacks its scope", async (world) => {
  const [session, other] = await sessionsOf(world, { scope: NARROW }, { scope: OTHER });
  assertEquals([world.codes.length, world.stored().scope], [2, OTHER]);
  const own = await session.accessToken();
  assertNotEquals(own, await other.accessToken());
  world.clock.advance(HOUR);
  await other.accessToken();
  await rejectsWith("login_required", () => session.accessToken(), "another scope", "profile");
  await rejectsWith("login_required", () => session.get("thing"), "another scope");
  await rejectsWith("login_required", () => session.accessToken({ forceRefresh: true }));
  assert(await world.provider.isActive(await other.accessToken()));
  assertEquals(world.api.requests, []);
});

test.real("two scopes: nor does it join a refresh that another session began", async (world) => {
  for (const backend of [world.backend, new SpyBackend()]) {
    const base = { credentialsBackend: backend };
    const [session, other] = await sessionsOf(
      world,
      { ...base, scope: NARROW },
      { ...base, scope: OTHER },
    );
    world.provider.reset();
    world.clock.advance(HOUR);
    const joined = other.accessToken();
    await rejectsWith("login_required", () => session.accessToken(), "another scope");
    assert(await world.provider.isActive(await joined));
    const refreshes = world.provider.requests.filter((one) => one.grantType === "refresh_token");
    assertEquals(refreshes.length, 1);
  }
});

test.real("two scopes: a grant that covers both serves both, with one refresh", async (world) => {
  const [session, other] = await sessionsOf(
    world,
    { scope: NARROW },
    { scope: `${NARROW} profile` },
  );
  world.clock.advance(HOUR);
  world.provider.reset();
  const tokens = await Promise.all([session.accessToken(), other.accessToken()]);
  const refreshes = world.provider.requests.filter((one) => one.grantType === "refresh_token");
  assertEquals([new Set(tokens).size, refreshes.length, world.codes.length], [1, 1, 2]);
});
