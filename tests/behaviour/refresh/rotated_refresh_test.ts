import { assert, assertEquals } from "@std/assert";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { createSession } from "../../../client/create_session.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { oauthError, type ScriptedProvider } from "../../support/scripted_provider.ts";
import { sha256Hex } from "../../support/sha256_hex.ts";
import { HOUR, type ProviderWorld, test } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { tokensOf } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

function refreshes(world: ProviderWorld<ScriptedProvider>) {
  return world.provider.requests.filter(({ grantType }) => grantType === "refresh_token");
}

/** Lets the next refresh rotate the token and answer with these members. */
function rotateWith(world: ProviderWorld<ScriptedProvider>, answer: Record<string, unknown>): void {
  world.provider.script.token.push(() => world.provider.tokens(answer));
}

type Make = (provider: ScriptedProvider) => Promise<Record<string, unknown>>;

const BAD: [what: string, code: "id_token_invalid" | "provider_invalid", make: Make][] = [
  [
    "an ID token for another client",
    "id_token_invalid",
    async (provider) => ({ id_token: await provider.idToken({ aud: "another" }) }),
  ],
  [
    "another person's ID token",
    "id_token_invalid",
    async (provider) => ({ id_token: await provider.idToken({ sub: "mallory" }) }),
  ],
  ["no access token", "provider_invalid", () => Promise.resolve({ access_token: undefined })],
  [
    "a token type that is not Bearer",
    "provider_invalid",
    () => Promise.resolve({ token_type: "x" }),
  ],
];

for (const [what, code, make] of BAD) {
  test.signedIn(`rotated refresh with ${what}: the new refresh token is kept, nothing else`, async ({ session, ...world }) => {
    world.clock.advance(HOUR);
    const before = world.stored();
    rotateWith(world, { ...await make(world.provider) });
    const error = await rejectsWith(code, () => session.accessToken());
    const { refresh_token, ...after } = world.stored();
    const { refresh_token: old, ...rest } = before;
    assertEquals(after, rest); // access token, ID token, expiry and scope
    assert(refresh_token !== old && world.provider.isActive(refresh_token!));
    const secrets = [...tokensOf(before), refresh_token!];
    assertNoSecret(error, secrets);
    assertEquals(await session.accessToken(), world.stored().access_token); // the next one works
    const sent = refreshes(world).map(({ form }) => form.refresh_token);
    assertEquals(sent, [await sha256Hex(old!), await sha256Hex(refresh_token!)]);
    assertEquals(world.codes.length, 1);
  });
}

test("rotated refresh: a person who is not known is not compared", async (world) => {
  world.provider.script.token.push(() => world.provider.tokens({ id_token: undefined }));
  const session = await createSession(world.options);
  rotateWith(world, { id_token: await world.provider.idToken({ sub: "whoever" }) });
  await session.accessToken({ forceRefresh: true });
  assertEquals((await session.status()).subject, "whoever");
});

test("rotated refresh: a bad answer whose refresh token cannot be stored loses it not", async (world) => {
  const backend = new SpyBackend();
  const session = await createSession({ ...world.options, credentialsBackend: backend });
  backend.before = (method, key) => {
    if (method !== "put" || key !== world.key) return;
    throw new CredentialsBackendError("backend_full", "Cannot write.");
  };
  rotateWith(world, { id_token: await world.provider.idToken({ aud: "another" }) });
  await rejectsWith("credentials_not_stored", () => session.accessToken({ forceRefresh: true }));
  backend.before = undefined;
  const token = await session.accessToken({ forceRefresh: true });
  assertEquals(backend.rows.get(world.key)?.access_token, token);
  assertEquals([world.provider.isActive(token), world.codes.length], [true, 1]);
});

/** What another process has stored while this one was refused; it is without a lock. */
async function refusedMeanwhile(world: ProviderWorld<ScriptedProvider>, expiresInMs: number) {
  const backend = new SpyBackend();
  const session = await createSession({ ...world.options, credentialsBackend: backend });
  const theirs = await (await world.provider.tokens({})).json();
  world.clock.advance(HOUR);
  world.provider.reset();
  world.provider.script.token.push(() => {
    backend.rows.set(world.key, {
      ...backend.rows.get(world.key)!,
      access_token: theirs.access_token,
      refresh_token: theirs.refresh_token,
      expires_at: new Date(world.clock.now() + expiresInMs).toISOString(),
    });
    return oauthError("invalid_grant");
  });
  return { backend, session, theirs };
}

test("refused refresh: another grant that has ended, too, is refreshed once", async (world) => {
  const { backend, session, theirs } = await refusedMeanwhile(world, -1000);
  const token = await session.accessToken();
  assertEquals([refreshes(world).length, backend.rows.get(world.key)?.access_token], [2, token]);
  assertEquals(refreshes(world)[1]?.form.refresh_token, await sha256Hex(theirs.refresh_token));
});

test("refused refresh: where the other grant is refused as well, that is the end", async (world) => {
  const { backend, session } = await refusedMeanwhile(world, -1000);
  world.provider.script.token.push(() => {
    const entry = { ...backend.rows.get(world.key)!, refresh_token: "third-refresh" };
    backend.rows.set(world.key, entry);
    return oauthError("invalid_grant");
  });
  await rejectsWith("login_required", () => session.accessToken(), "ended the sign-in");
  assertEquals(refreshes(world).length, 2); // no loop
  assertEquals(backend.rows.get(world.key)?.refresh_token, "third-refresh"); // it was not refused
});

test("a refresh token that was used while this process stood still is not sent", async (world) => {
  const credentialsBackend = new SpyBackend();
  const session = await createSession({ ...world.options, credentialsBackend });
  const [key, stored] = [...credentialsBackend.rows][0]!;
  world.clock.advance(HOUR);
  let gets = 0;
  credentialsBackend.before = (method) => {
    if (method !== "get" || ++gets !== 2) return;
    // Another host took the lock over, and has refreshed: the next look sees it.
    const expires_at = new Date(world.clock.now() + HOUR).toISOString();
    const renewed = { access_token: "access-of-another", refresh_token: "refresh-of-another" };
    credentialsBackend.rows.set(key, { ...stored, ...renewed, expires_at });
  };
  assertEquals(await session.accessToken(), "access-of-another");
  assertEquals(refreshes(world), []);
});
