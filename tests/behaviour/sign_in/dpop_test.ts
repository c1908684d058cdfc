import { clearOidcCredentials, createSession, type OidcCredentials } from "@validmind/auth";
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { dpopProviderWorld } from "../../support/dpop_provider_world.ts";
import {
  answerWith,
  HOUR,
  type RealWorld,
  type ScriptedWorld,
  test,
} from "../../support/provider_world.ts";
import { paths } from "../../support/request_log.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

type AnyWorld = RealWorld | ScriptedWorld;

function storedIn(world: AnyWorld): OidcCredentials {
  return world.backend.get(`dpop|${world.key}`)!;
}

/** Grant and status of the token requests. */
function tokenRequests(world: AnyWorld): [grant: string, status: number][] {
  return world.provider.requests.filter(({ path }) => path === "/token")
    .map(({ grantType, status }) => [grantType!.split(":").at(-1)!, status]);
}

Deno.test("dpop: sign-in, call and refresh with one key, at a real provider", async () => {
  await using world = await dpopProviderWorld();
  const session = await world.signIn();
  assertEquals((await session.get("me") as { sub: string }).sub, "analyst@example.com");
  const first = { ...storedIn(world) };
  world.clock.advance(HOUR);
  assertEquals((await session.get("me") as { sub: string }).sub, "analyst@example.com");
  const second = storedIn(world);
  assertNotEquals(second.refresh_token, first.refresh_token);
  assertEquals(second.dpop_key, first.dpop_key);
  assertEquals([(await session.status()).dpop, session.dpop], [true, true]);
  assertEquals(await Array.fromAsync(world.backend.list()), [`dpop|${world.key}`]);
});

Deno.test("dpop: a nonce challenge burns neither code nor refresh token", async () => {
  await using world = await dpopProviderWorld({ nonce: true });
  await world.signIn();
  assertEquals(tokenRequests(world), [["device_code", 400], ["device_code", 200]]);
  for (let round = 0; round < 3; round++) {
    world.clock.advance(HOUR);
    world.provider.reset();
    const old = storedIn(world);
    const session = await world.signIn(); // knows no nonce yet
    assertEquals(tokenRequests(world), [["refresh_token", 400], ["refresh_token", 200]]);
    assertNotEquals(storedIn(world).refresh_token, old.refresh_token);
    assertEquals(storedIn(world).dpop_key, old.dpop_key);
    assert(await world.provider.isActive(await session.accessToken()));
  }
  assertEquals(world.codes.length, 1);
});

for (const offered of [undefined, ["RS256"]]) {
  test(`dpop: a provider that offers ${offered} is an error before anybody is asked`, async (world) => {
    world.provider.discovery = { dpop_signing_alg_values_supported: offered };
    const words = [world.provider.issuer, "leave out dpop"];
    await rejectsWith("dpop_unsupported", () => world.signIn({ dpop: true }), ...words);
    assertEquals(world.codes, []);
    assertEquals(paths(world.provider.requests), ["/.well-known/openid-configuration"]);
  });
}

for (const token_type of ["Bearer", undefined]) {
  test(`dpop: tokens of the type ${token_type} are refused; the rotated refresh token is kept`, async (world) => {
    world.provider.discovery = { dpop_signing_alg_values_supported: ["ES256"] };
    answerWith(world, { token_type });
    await rejectsWith("dpop_unsupported", () => world.signIn({ dpop: true }), "not bound to a key");
    assertEquals(await Array.fromAsync(world.backend.list()), []);
    answerWith(world, { token_type: "DPoP" });
    const session = await world.signIn({ dpop: true });
    world.clock.advance(HOUR);
    const refresh_token = `rotated-after-${token_type}`;
    answerWith(world, { token_type, refresh_token });
    await rejectsWith("dpop_unsupported", () => session.accessToken());
    assertEquals(storedIn(world).refresh_token, refresh_token);
    answerWith(world, { token_type: "DPoP", access_token: "access-2" });
    assertEquals(await session.accessToken(), "access-2");
  });
}

Deno.test("dpop: switching it on or off takes no token of the other kind", async () => {
  await using world = await dpopProviderWorld();
  const off = { ...world.options, dpop: false };
  const bound = await world.signIn();
  const bearer = await createSession(off);
  assertEquals(world.codes.length, 2);
  world.clock.advance(HOUR);
  await Promise.all([bound.get("me"), bearer.get("me")]);
  await Promise.all([world.signIn(), createSession(off)]);
  assertEquals(world.codes.length, 2);
  const { dpop_key } = world.backend.get(world.key)!;
  assertEquals([dpop_key, bearer.dpop, (await bearer.status()).dpop], [
    undefined,
    undefined,
    undefined,
  ]);
});

Deno.test("dpop: a sign-out of the credential removes and revokes both kinds", async () => {
  await using world = await dpopProviderWorld();
  const { issuer, clientId } = world.provider;
  const tokens = [];
  for (const dpop of [true, false]) tokens.push(await (await world.signIn({ dpop })).accessToken());
  const credentialsBackend = world.backend;
  const result = await clearOidcCredentials({ issuer, clientId, credentialsBackend, revoke: true });
  assertEquals([result.keys, result.revocation], [[world.key, `dpop|${world.key}`], "revoked"]);
  for (const token of tokens) assertEquals(await world.provider.isActive(token), false);
});

Deno.test("dpop: an entry whose key is lost or damaged means a new sign-in", async () => {
  await using world = await dpopProviderWorld();
  await world.signIn();
  const { x, ...rest } = storedIn(world).dpop_key as JsonWebKey;
  for (const damaged of [undefined, null, "text", {}, rest, { x, ...rest, d: "AAAA" }]) {
    const prompts = world.codes.length;
    world.backend.put(`dpop|${world.key}`, { ...storedIn(world), dpop_key: damaged });
    const silent = { ...world.options, interactive: false };
    await rejectsWith("login_required", () => createSession(silent));
    const session = await world.signIn();
    await session.get("me");
    assertEquals(world.codes.length, prompts + 1);
  }
});

Deno.test("dpop: a key that is lost while a session runs sends no bound token as a bearer", async () => {
  await using world = await dpopProviderWorld();
  const session = await world.signIn();
  world.clock.advance(HOUR);
  for (const change of [{}, { expires_at: new Date(world.clock.now() + HOUR).toISOString() }]) {
    world.backend.put(`dpop|${world.key}`, { ...storedIn(world), dpop_key: undefined, ...change });
    world.provider.reset();
    await rejectsWith("login_required", () => session.fetch("me"), "key");
    assertEquals(world.provider.requests, []);
  }
});

Deno.test("dpop: a bound entry under the other kind's key is not used as a bearer", async () => {
  await using world = await dpopProviderWorld();
  await world.signIn();
  world.backend.put(world.key, storedIn(world));
  const options = { ...world.options, dpop: false, interactive: false };
  await rejectsWith("login_required", () => createSession(options));
});

const REFUSED: [change: Record<string, unknown>, words: string[]][] = [
  [{ bearer: "id_token" }, ["dpop", "ID token", 'bearer: "access_token"']],
  [{ issuer: "https://login.microsoftonline.com/t/v2.0" }, ["dpop", "ID token"]],
  [{ issuer: undefined, clientId: undefined, apiKey: "k", apiSecret: "s" }, ["dpop", "API key"]],
];

for (const [change, words] of REFUSED) {
  Deno.test(`dpop: refused with ${JSON.stringify(change)}`, async () => {
    const options = { issuer: "https://login.example.com", clientId: "c", dpop: true, ...change };
    await rejectsWith("invalid_options", () => createSession(options as object), ...words);
  });
}
