import { assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { authorizeDevice, pollDevice } from "../../../client/provider/device_grant.ts";
import { refreshTokens } from "../../../client/provider/refresh_grant.ts";
import { providerOf } from "./provider_of.ts";
import { scriptedProviderWorld, test } from "../../support/provider_world.ts";
import type { ScriptedProvider } from "../../support/scripted_provider.ts";
import { json } from "../../support/http_server.ts";
import { makeSigningKey } from "../../support/jwt.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

test("ID token: keys out of reach at refresh cost the ID token, not the new tokens", async (world) => {
  const { provider } = providerOf(world);
  for (let time = 0; time < 3; time++) {
    world.provider.script.jwks.push(() => new Response("busy", { status: 503 }));
  }
  world.provider.script.token.push(() =>
    world.provider.tokens({ access_token: "access-2", refresh_token: "refresh-2", expires_in: 60 })
  );
  const { tokens } = await refreshTokens(provider, { refreshToken: "refresh-1" });
  assertEquals([tokens?.refreshToken, tokens?.idToken], ["refresh-2", undefined]);
  assertEquals(world.clock.delays, [500, 1000]);
});

/** A key that signs by ES256, and an ID token of it. */
async function ellipticKey(provider: ScriptedProvider) {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const { privateKey, publicKey } = await crypto.subtle.generateKey(algorithm, true, ["sign"]);
  const { key_ops: _, ...jwk } = await crypto.subtle.exportKey("jwk", publicKey as CryptoKey);
  const [, claims] = (await provider.idToken()).split(".");
  const input = `${btoa('{"alg":"ES256"}').replace(/=+$/, "")}.${claims}`;
  const signed = await crypto.subtle.sign(algorithm, privateKey, new TextEncoder().encode(input));
  const signature = new Uint8Array(signed).toBase64({ alphabet: "base64url", omitPadding: true });
  return { jwk, idToken: `${input}.${signature}` };
}

/** The keys of the provider, and whose signature an ID token has: `kid` as it is in its header. */
interface KeysRow {
  keys: (own: JsonWebKey, others: JsonWebKey[]) => unknown[];
  kid?: string;
  isTaken: boolean;
}

const nameless = ({ kid: _, ...jwk }: JsonWebKey & { kid?: string }) => jwk;
const named = (kid: string) => (jwk: JsonWebKey) => ({ ...jwk, kid });

const KEYS: Record<string, KeysRow> = {
  "a single key without an id is the key of any id": {
    keys: (own) => [nameless(own)],
    kid: "x",
    isTaken: true,
  },
  "of several keys without an id, one has made it": {
    keys: (own, [other]) => [other, own].map((key) => nameless(key!)),
    kid: "x",
    isTaken: true,
  },
  "without kid, each key of the type is tried": {
    keys: (own, others) => [...others.slice(0, 7), own],
    isTaken: true,
  },
  "without kid, no more than eight are tried": {
    keys: (own, others) => [...others, own],
    isTaken: false,
  },
  "without kid, the keys of others do not count": {
    keys: (_, [one, two]) => [one, two],
    isTaken: false,
  },
  "keys of other types and uses do not count among the eight": {
    keys: (own, others) => [
      ...others.map((key) => ({ ...key, kty: "EC" })),
      ...others.map((key) => ({ ...key, alg: "PS256" })),
      null,
      own,
    ],
    isTaken: true,
  },
  "a key of another use has made none": {
    keys: (own) => [{ ...own, use: "enc" }],
    isTaken: false,
  },
  "with kid, a key of another id is not tried": {
    keys: (own, [other]) => [named("x")(other!), named("y")(own)],
    kid: "x",
    isTaken: false,
  },
  "keys that are no list are none": { keys: () => ({}) as unknown[], isTaken: false },
};

const others = await Promise.all(Array.from({ length: 8 }, () => makeSigningKey()));

for (const [what, { keys, kid, isTaken }] of Object.entries(KEYS)) {
  test(`ID token: ${what}`, async (world) => {
    const { provider } = world;
    const all = others.map(({ publicJwk }) => publicJwk);
    provider.script.jwks.push(() => json({ keys: keys(provider.signingKey.publicJwk, all) }));
    const id_token = await provider.idToken({}, { header: { kid } });
    provider.script.token.push(() => provider.tokens({ id_token }));
    if (isTaken) return await (await createSession(world.options)).close();
    const run = () => createSession(world.options);
    await rejectsWith("id_token_invalid", run, "no key of the provider");
    assertEquals(world.backend.get(world.key), undefined);
  });
}

Deno.test("ID token: the algorithm is the key's, where discovery states another", async () => {
  const discovery = { id_token_signing_alg_values_supported: ["RS256"] }; // as Spring does
  await using world = await scriptedProviderWorld({ discovery });
  const { jwk, idToken } = await ellipticKey(world.provider);
  for (const isTaken of [true, false]) {
    const alg = isTaken ? {} : { alg: "ES384" };
    const keys = [world.provider.signingKey.publicJwk, { ...jwk, ...alg }];
    world.provider.script.jwks.push(() => json({ keys }));
    world.provider.script.token.push(() => world.provider.tokens({ id_token: idToken }));
    const run = () => createSession({ ...world.options, profile: String(isTaken) });
    if (isTaken) await (await run()).close();
    else await rejectsWith("id_token_invalid", run, "no key of the provider");
  }
});

test("ID token: keys that were replaced are seen at the next refresh", async (world) => {
  const { provider } = providerOf(world);
  const key = await makeSigningKey();
  const who = { iss: world.provider.issuer, sub: "analyst@example.com" };
  await pollDevice(provider, await authorizeDevice(provider));
  world.provider.script.jwks.push(() => json({ keys: [key.publicJwk] }));
  for (const isWithdrawn of [false, true]) {
    const id_token = await world.provider.idToken(who, { key });
    world.provider.script.token.push(() => world.provider.tokens({ id_token }));
    const { tokens } = await refreshTokens(provider, { refreshToken: "r", subject: who });
    assertEquals(tokens?.idToken, isWithdrawn ? undefined : id_token);
  }
});
