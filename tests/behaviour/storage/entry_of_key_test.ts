import { assertEquals } from "@std/assert";
import type { OidcCredentials } from "../../../backends/oidc_credentials_backend.ts";
import { credentialKey, isEntryOfKey } from "../../../client/credential_key.ts";
import { storesIn } from "../../backends/stores.ts";
import { scriptedProviderWorld, test } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { sandbox } from "../../support/sandbox.ts";

const ISSUER = "https://login.example.com";
const OTHER = { issuer: "https://evil.example.com", client_id: "other-app" };

/** A value that no text can be made of. */
const NO_TEXT = { toString: 1 };

const KEYS = [
  credentialKey(ISSUER, "my-app"),
  credentialKey(ISSUER, "my-app", "https://api.example.com"),
  credentialKey(ISSUER, "my-app", undefined, { profile: "work", dpop: true }),
  credentialKey(ISSUER, "my-app", "api", { flow: "client_credentials" }),
  credentialKey(ISSUER, "my-app", undefined, { flow: "token_exchange", dpop: true, profile: "p" }),
];

const FIELDS: [fits: boolean, fields: Record<string, unknown>][] = [
  [true, {}],
  [true, { issuer: ISSUER, client_id: "my-app" }],
  [true, { issuer: `"${ISSUER}/" `, client_id: "'my-app'" }],
  [true, { issuer: null, client_id: null }],
  [true, { issuer: ISSUER }],
  [true, { client_id: "my-app" }],
  [false, { issuer: OTHER.issuer, client_id: "my-app" }],
  [false, { issuer: ISSUER, client_id: OTHER.client_id }],
  [false, { issuer: OTHER.issuer }],
  [false, { client_id: "my" }],
  [false, { client_id: "my-app|https://api.example.com/v2" }],
  [false, { issuer: 7 }],
  [false, { issuer: NO_TEXT }],
  [false, { client_id: NO_TEXT }],
];

Deno.test("an entry fits its key by issuer and client, normalized; an absent field fits", () => {
  for (const key of KEYS) {
    for (const [fits, fields] of FIELDS) {
      const entry = fields as unknown as OidcCredentials;
      assertEquals(isEntryOfKey(entry, key), fits, `${key} ${JSON.stringify(fields)}`);
    }
  }
});

Deno.test("any entry fits the key of a probe and a key of another form; Python's client may have a |", () => {
  const entry = { ...OTHER, access_token: "t" };
  for (const key of ["probe|0123456789abcdef", "encrypted|probe|01", "k", "", "profile:a|k"]) {
    assertEquals(isEntryOfKey(entry, key), true, key);
  }
  const python = { issuer: ISSUER, client_id: "a|b", access_token: "t" };
  assertEquals(isEntryOfKey(python, `${ISSUER}|a|b`), true);
});

test.signedIn("a scope of a damaged entry costs no refresh token", async ({ session, amend, ...world }) => {
  amend({ scope: NO_TEXT, granted_scope: NO_TEXT });
  const token = await session.accessToken({ forceRefresh: true });
  assertEquals(world.stored().access_token, token);
});

for (const fields of [{ issuer: OTHER.issuer }, { client_id: OTHER.client_id }]) {
  const [name] = Object.keys(fields);
  test.signedIn(`an entry with another ${name} than its key is corrupt, and its tokens go nowhere`, async ({ session, ...world }) => {
    world.amend({ ...fields, expires_at: "2020-01-01T00:00:00Z" });
    world.provider.reset();
    const start = () => world.signIn({ interactive: false });
    const words = "another issuer or client than its key names";
    await rejectsWith("backend_corrupt", start, words, "Nothing was changed");
    assertEquals([world.provider.requests, world.api.requests], [[], []]);
    const { keys, revocation } = await session.clear({ revoke: true });
    assertEquals([keys, revocation], [[world.key], "failed"]);
    assertEquals(world.provider.requests, []);
    await (await world.signIn()).accessToken();
    assertEquals(world.stored().client_id, world.provider.clientId);
  });
}

for (const [name, store] of Object.entries(storesIn(sandbox()))) {
  Deno.test(`${name}: a sign-in replaces an entry of another key, whose tokens go nowhere`, async () => {
    await using world = await scriptedProviderWorld();
    const { provider, api, key } = world;
    const credentialsBackend = store.open();
    const stored = () => Promise.try(() => credentialsBackend.get(key));
    await credentialsBackend.put(key, {
      ...OTHER,
      access_token: "of-another-key",
      refresh_token: "of-another-key",
      expires_at: "2999-01-01T00:00:00Z",
    });
    const start = () => world.signIn({ credentialsBackend, interactive: false });
    await rejectsWith("backend_corrupt", start, "Sign in again, or remove it");
    assertEquals([provider.requests, (await stored())?.client_id], [[], OTHER.client_id]);

    const session = await world.signIn({ credentialsBackend });
    await (await session.fetch(`${api.apiHost}ping`)).text();
    assertEquals((await stored())?.client_id, provider.clientId);
    assertEquals(JSON.stringify([provider.requests, api.requests]).includes("of-another"), false);
    await session.clear();
    await credentialsBackend.close?.();
  });
}
