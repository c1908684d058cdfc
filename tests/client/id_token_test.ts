import { assertEquals } from "@std/assert";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { makeSigningKey, type SigningKey, type SignOptions } from "../support/jwt.ts";
import type { ScriptedProvider } from "../support/scripted_provider.ts";
import { assertCode, failed, providerOf, scriptedWorld } from "./fixtures.ts";

const PAST = Math.floor(Date.now() / 1000) - 3600;

type Make = (provider: ScriptedProvider) => Promise<string> | string;

async function foreignKey(provider: ScriptedProvider): Promise<SigningKey> {
  return { ...await makeSigningKey(), kid: provider.signingKey.kid };
}

function signed(claims: Record<string, unknown>, options?: SignOptions): Make {
  return (provider) => provider.idToken(claims, options);
}

const BAD: [what: string, make: Make][] = [
  ["another issuer", signed({ iss: "https://login.example.com" })],
  ["the issuer with a slash", (provider) => provider.idToken({ iss: `${provider.issuer}/` })],
  ["no issuer", signed({ iss: undefined })],
  ["another audience", signed({ aud: "another-client" })],
  ["no audience", signed({ aud: undefined })],
  [
    "many audiences and another azp",
    (provider) => provider.idToken({ aud: [provider.clientId, "x"], azp: "x" }),
  ],
  ["an end in the past", signed({ exp: PAST })],
  ["no end", signed({ exp: undefined })],
  ["an end that is no number", signed({ exp: "2099" })],
  ["a start in the future", signed({ nbf: Math.floor(Date.now() / 1000) + 3600 })],
  ["no subject", signed({ sub: undefined })],
  [
    "the signature of another key",
    async (provider) => await provider.idToken({}, { key: await foreignKey(provider) }),
  ],
  [
    "a key that the provider does not have",
    async (provider) => await provider.idToken({}, { key: await makeSigningKey() }),
  ],
  ["no signature, alg none", signed({}, { alg: "none" })],
  ["a signature by a shared secret", signed({}, { alg: "HS256" })],
  ["claims changed after signing", async (provider) => {
    const [head, , signature] = (await provider.idToken()).split(".");
    const [, claims] = (await provider.idToken({ sub: "somebody-else" })).split(".");
    return `${head}.${claims}.${signature}`;
  }],
  ["no JWT in it", () => "opaque"],
];

for (const [what, make] of BAD) {
  Deno.test(`ID token with ${what}: refused at sign-in and at refresh`, async () => {
    await using world = await scriptedWorld();
    const { provider } = providerOf(world);
    const device = await provider.authorizeDevice();
    const id_token = await make(world.provider);
    const secrets = ["secret-access", "secret-refresh", ...id_token === "opaque" ? [] : [id_token]];
    const answer = () =>
      world.provider.tokens({
        access_token: "secret-access",
        refresh_token: "secret-refresh",
        id_token,
      });
    const refresh = async () => {
      const { refreshToken, error } = failed(await provider.refresh("r"));
      assertEquals(refreshToken, "secret-refresh"); // the old one is spent
      throw error;
    };
    for (const run of [() => provider.pollDevice(device), refresh]) {
      world.provider.script.token.push(answer);
      const words = ["ID token", world.provider.issuer, "clock"];
      const error = await assertCode(run, "id_token_invalid", ...words);
      assertEquals(error.cause, undefined);
      assertNoSecret(error, secrets);
    }
  });
}

Deno.test("ID token: a good one is taken, and its end is told", async () => {
  await using world = await scriptedWorld();
  const { provider } = providerOf(world);
  const exp = Math.floor(Date.now() / 1000) + 77;
  const id_token = await world.provider.idToken({ exp, aud: [world.provider.clientId] });
  world.provider.script.token.push(() => world.provider.tokens({ id_token }));
  const tokens = await provider.pollDevice(await provider.authorizeDevice());
  assertEquals([tokens.idToken, tokens.idTokenExpiry], [id_token, exp]);
});

Deno.test("ID token: none is fine, and then no key is asked for", async () => {
  await using world = await scriptedWorld();
  const { provider } = providerOf(world);
  world.provider.script.token.push(() => world.provider.tokens({ id_token: undefined }));
  const tokens = await provider.pollDevice(await provider.authorizeDevice());
  assertEquals("idToken" in tokens, false);
  assertEquals(world.provider.requests.some(({ path }) => path === "/jwks"), false);
});

Deno.test("ID token: no keys in discovery refuses it", async () => {
  await using world = await scriptedWorld({ discovery: { jwks_uri: undefined } });
  const { provider } = providerOf(world);
  const device = await provider.authorizeDevice();
  await assertCode(() => provider.pollDevice(device), "provider_invalid", "jwks_uri");
});

Deno.test("ID token: keys out of reach at refresh cost the ID token, not the new tokens", async () => {
  await using world = await scriptedWorld();
  const { provider } = providerOf(world);
  for (let time = 0; time < 3; time++) {
    world.provider.script.jwks.push(() => new Response("busy", { status: 503 }));
  }
  world.provider.script.token.push(() =>
    world.provider.tokens({ access_token: "access-2", refresh_token: "refresh-2", expires_in: 60 })
  );
  assertEquals(await provider.refresh("refresh-1"), {
    tokens: { accessToken: "access-2", refreshToken: "refresh-2", expiresIn: 60 },
  });
  assertEquals(world.clock.delays, [500, 1000]);
});
