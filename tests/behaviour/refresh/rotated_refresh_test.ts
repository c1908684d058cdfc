import { assert, assertEquals } from "@std/assert";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { oauthError } from "../../support/scripted_provider.ts";
import { sha256Hex } from "../../support/sha256_hex.ts";
import { answerWith, HOUR, renew, type ScriptedWorld, test } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { tokensOf } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

/** The refresh tokens that were sent, hashed. */
function sent({ provider }: ScriptedWorld): (string | undefined)[] {
  return provider.requests.filter(({ grantType }) => grantType === "refresh_token")
    .map(({ form }) => form.refresh_token);
}

const BAD: [
  what: string,
  code: "id_token_invalid" | "provider_invalid",
  members: { claims?: Record<string, string>; access_token?: undefined; token_type?: string },
][] = [
  ["an ID token for another client", "id_token_invalid", { claims: { aud: "another" } }],
  ["another person's ID token", "id_token_invalid", { claims: { sub: "mallory" } }],
  ["no access token", "provider_invalid", { access_token: undefined }],
  ["a token type that is not Bearer", "provider_invalid", { token_type: "x" }],
];

for (const [what, code, { claims, ...members }] of BAD) {
  test.signedIn(`rotated refresh with ${what}: the new refresh token is kept, nothing else`, async ({ session, ...world }) => {
    world.clock.advance(HOUR);
    const { refresh_token: old, ...rest } = world.stored();
    const id_token = await world.provider.idToken(claims);
    answerWith(world, { ...members, ...claims && { id_token } });
    const error = await rejectsWith(code, () => session.accessToken());
    const { refresh_token, ...after } = world.stored();
    assertEquals(after, rest); // access token, ID token, expiry and scope
    assert(refresh_token !== old && world.provider.isActive(refresh_token!));
    assertNoSecret(error, [...tokensOf(rest), old!, refresh_token!]);
    assertEquals(await session.accessToken(), world.stored().access_token); // the next one works
    assertEquals(sent(world), [await sha256Hex(old!), await sha256Hex(refresh_token!)]);
    assertEquals(world.codes.length, 1);
  });
}

test("rotated refresh: a person who is not known is not compared", async (world) => {
  answerWith(world, { id_token: undefined });
  const session = await world.signIn();
  answerWith(world, { id_token: await world.provider.idToken({ sub: "whoever" }) });
  await renew(session);
  assertEquals((await session.status()).subject, "whoever");
});

test("refused refresh: a grant of another process, without a lock, is refreshed once, and then it is the end", async (world) => {
  for (const isRefusedToo of [false, true]) {
    const backend = new SpyBackend();
    const session = await world.signIn({ credentialsBackend: backend });
    const { access_token, refresh_token } = await (await world.provider.tokens({})).json();
    world.clock.advance(HOUR);
    world.provider.reset();
    const store = (change: Record<string, string>) => () => {
      backend.rows.set(world.key, { ...backend.rows.get(world.key)!, ...change });
      return oauthError("invalid_grant");
    };
    const expires_at = new Date(world.clock.now() - 1000).toISOString();
    world.provider.script.token.push(store({ access_token, refresh_token, expires_at }));
    if (isRefusedToo) {
      world.provider.script.token.push(store({ refresh_token: "third-refresh" }));
      await rejectsWith("login_required", () => session.accessToken(), "ended the sign-in");
      assertEquals(backend.rows.get(world.key)?.refresh_token, "third-refresh"); // was not refused
    } else {
      assertEquals(await session.accessToken(), backend.rows.get(world.key)?.access_token);
      assertEquals(sent(world)[1], await sha256Hex(refresh_token));
    }
    assertEquals(sent(world).length, 2); // no loop
  }
});

test("a refresh token that was used while this process stood still is not sent", async (world) => {
  const backend = new SpyBackend();
  const session = await world.signIn({ credentialsBackend: backend });
  const [key, stored] = [...backend.rows][0]!;
  world.clock.advance(HOUR);
  let gets = 0;
  backend.before = (method) => {
    if (method !== "get" || ++gets !== 2) return;
    // Another host took the lock over, and has refreshed: the next look sees it.
    const expires_at = new Date(world.clock.now() + HOUR).toISOString();
    const renewed = { access_token: "access-of-another", refresh_token: "refresh-of-another" };
    backend.rows.set(key, { ...stored, ...renewed, expires_at });
  };
  assertEquals(await session.accessToken(), "access-of-another");
  assertEquals(sent(world), []);
});
