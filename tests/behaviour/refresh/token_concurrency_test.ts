import { createSession } from "../../../client/create_session.ts";
import {
  HOUR,
  oidcProviderWorld,
  type ProviderWorld,
  refreshes,
  test,
} from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import type { Session } from "../../../client/session.ts";
import type { TestOidcProvider } from "../../support/oidc_provider.ts";
import { oauthError } from "../../support/scripted_provider.ts";
import { assert, assertEquals, assertNotEquals } from "@std/assert";

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

const BUSY = () => new Response("busy", { status: 503 });

Deno.test("bearer: an ID token goes on requests, and ends by its own exp", async () => {
  await using world = await oidcProviderWorld({ idTokenTtl: 600 });
  const session = await createSession({ ...world.options, bearer: "id_token" });
  const first = world.stored();
  assertEquals(await session.accessToken(), first.id_token);
  assertEquals((await session.headers()).get("authorization"), `Bearer ${first.id_token}`);
  const { expiresAt } = await session.status();
  assertEquals(first.expires_at, expiresAt?.toISOString());
  assertEquals(Math.abs(expiresAt!.getTime() - Date.now() - 600_000) < 5_000, true);
  world.clock.advance(545_000); // less than a tenth is left; the access token would last for long
  assertEquals(await session.accessToken(), world.stored().id_token);
  assertEquals(world.provider.requests.at(-2)?.grantType, "refresh_token"); // then the keys
});

test("bearer: a start looks at the ID token's exp, not at a row that Python wrote", async (world) => {
  const options = { ...world.options, bearer: "id_token" } as const;
  await createSession(options);
  const exp = Math.floor(world.clock.now() / 1000) + 60;
  world.amend({
    id_token: await world.provider.idToken({ exp }),
    expires_at: new Date(world.clock.now() + HOUR).toISOString(),
  });
  world.provider.reset();
  await createSession(options);
  const grants = world.provider.requests.flatMap(({ grantType }) => grantType ?? []);
  assertEquals(grants, ["refresh_token"]);
});

test("bearer: no ID token where it is to be the bearer", async (world) => {
  world.provider.script.token.push(() => world.provider.tokens({ id_token: undefined }));
  const options = { ...world.options, bearer: "id_token" } as const;
  await rejectsWith("id_token_missing", () => createSession(options), "openid", "bearer");
});

test("bearer: keys out of reach at a refresh: the old ID token serves until its end", async (world) => {
  const session = await createSession({ ...world.options, bearer: "id_token" });
  const { id_token } = world.stored();
  world.clock.advance(HOUR - 60_000);
  // A later ID token of the provider is another one, whatever the second in which it is made.
  world.provider.script.token.push(async () =>
    world.provider.tokens({ id_token: await world.provider.idToken({ later: true }) })
  );
  for (let time = 0; time < 3; time++) world.provider.script.jwks.push(BUSY);
  const other = await createSession({ ...world.options, bearer: "access_token" });
  assertEquals(await other.accessToken(), world.stored().access_token);
  assertEquals(world.provider.script.jwks, []);
  assertEquals(world.stored().id_token, id_token);
  for (let time = 0; time < 3; time++) world.provider.script.jwks.push(BUSY);
  world.provider.script.token.push(() => oauthError("temporarily_unavailable", 503));
  assertEquals(await session.accessToken(), id_token);
});

test("bearer: a refresh without an ID token, and the old one has ended", async (world) => {
  const session = await createSession({ ...world.options, bearer: "id_token" });
  world.clock.advance(HOUR + 60_000);
  world.provider.script.token.push(() => world.provider.tokens({ id_token: undefined }));
  await rejectsWith("id_token_missing", () => session.accessToken());
  assertEquals(typeof world.stored().refresh_token, "string");
});
