import { assert, assertEquals } from "@std/assert";
import { createSession, credentialKey, type SessionOptions } from "@validmind/auth";
import type { JWKS } from "oidc-provider";
import { readClaims } from "../../../client/entry/bearer.ts";
import { json } from "../../support/http_server.ts";
import { makeKey } from "../../support/jwt.ts";
import type { OidcProviderOptions } from "../../support/oidc_provider.ts";
import {
  answerWith,
  oidcProviderWorld,
  refreshes,
  renew,
  type ScriptedWorld,
  test,
} from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { dateless } from "../../support/spy_fetch.ts";

// @ts-types="@types/oidc-provider"
test.signedIn("ID token: keys out of reach at refresh cost the ID token, not the new tokens", async ({ session, ...world }) => {
  const { id_token } = world.stored();
  const busy = () => new Response("busy", { status: 503 });
  world.provider.script.jwks.push(busy, busy, busy, busy);
  const unchecked = await world.provider.idToken({ name: "Eve" });
  answerWith(world, { refresh_token: "refresh-2", id_token: unchecked });
  world.clock.onDelay = async () => {
    const { length } = world.provider.requests;
    await new Promise((resolve) => setTimeout(resolve, 5));
    assertEquals(world.provider.requests.length, length); // nothing is asked in a pause
  };
  await renew(session);
  const stored = world.stored();
  assertEquals([stored.refresh_token, stored.id_token], ["refresh-2", id_token]);
  assertEquals(world.clock.delays.length, 3); // one of them is a poll
});

const nameless = ({ kid: _, ...jwk }: JsonWebKey & { kid?: string }) => jwk;
const named = (kid: string) => (jwk: JsonWebKey) => ({ ...jwk, kid });

/** The keys of the provider, among others or not, and whether one of them has made a signature with this `kid`. */
const KEYS: [
  what: string,
  keys: (own: JsonWebKey, others: JsonWebKey[]) => unknown[],
  isTaken: boolean,
  kid?: string,
][] = [
  ["a single key without an id is the key of any id", (own) => [nameless(own)], true, "x"],
  [
    "of several keys without an id, one has made it",
    (own, [other]) => [other, own].map((key) => nameless(key!)),
    true,
    "x",
  ],
  ["without kid, eight keys of the type are tried", (own, all) => [...all.slice(0, 7), own], true],
  ["without kid, no more than eight are tried", (own, others) => [...others, own], false],
  ["without kid, the keys of others do not count", (_, others) => others.slice(0, 2), false],
  [
    "keys of other types and uses do not count among the eight",
    (own, others) => [
      ...others.map((key) => ({ ...key, kty: "RSA" })),
      ...others.map((key) => ({ ...key, alg: "ES384" })),
      null,
      own,
    ],
    true,
  ],
  ["a key of another use has made none", (own) => [{ ...own, use: "enc" }], false],
  [
    "the kid names only the first key to try",
    (own, [other]) => [named("x")(other!), named("y")(own)],
    true,
    "x",
  ],
  [
    "the key of the kid is the first of many",
    (own, others) => [...others.map((key) => named("y")(key)), named("x")(own)],
    true,
    "x",
  ],
  ["keys that are no list are none", () => ({}) as unknown[], false],
];

const others = await Promise.all(Array.from({ length: 8 }, () => makeKey("ES256")));

for (const [what, keys, isTaken, kid] of KEYS) {
  test(`ID token: ${what}`, async (world) => {
    const { provider } = world;
    const all = others.map(({ publicJwk }) => publicJwk);
    provider.script.jwks.push(() => json({ keys: keys(provider.signingKey.publicJwk, all) }));
    const id_token = await provider.idToken({}, { header: { kid } });
    answerWith(world, { id_token });
    if (isTaken) return await (await world.signIn()).close();
    await rejectsWith("id_token_invalid", () => world.signIn(), "no key of the provider");
    assertEquals(world.backend.get(world.key), undefined);
  });
}

test("ID token: the algorithm is the key's, where discovery states RS256, as Spring does", async (world) => {
  const key = await makeKey("ES256");
  world.provider.discovery = { id_token_signing_alg_values_supported: ["RS256"] };
  const header = { kid: undefined };
  const idToken = await world.provider.idToken({}, { key, alg: "ES256", header });
  for (const alg of [undefined, "ES384"]) {
    const isTaken = alg === undefined;
    const keys = [world.provider.signingKey.publicJwk, { ...nameless(key.publicJwk), alg }];
    world.provider.script.jwks.push(() => json({ keys }));
    answerWith(world, { id_token: idToken });
    const run = () => world.signIn({ profile: String(isTaken) });
    if (isTaken) await (await run()).close();
    else await rejectsWith("id_token_invalid", run, "no key of the provider");
  }
});

test.signedIn("ID token: keys that were replaced are seen at the next refresh", async ({ session, ...world }) => {
  const key = await makeKey();
  world.provider.script.jwks.push(() => json({ keys: [key.publicJwk] }));
  const refresh = async () => {
    const id_token = await world.provider.idToken({}, { key });
    answerWith(world, { id_token });
    await renew(session);
    assertEquals(world.stored().id_token, id_token);
  };
  await refresh();
  await rejectsWith("login_required", refresh, "no key of the provider"); // it is withdrawn
});

const MINUTE = 60_000;

/** Tokens as from a provider whose clock differs from this computer's, and that says so or not. */
async function answerAt(
  world: ScriptedWorld,
  offMs: number,
  { lifeMs = 60 * MINUTE, saysDate = true }: { lifeMs?: number; saysDate?: boolean } = {},
): Promise<void> {
  const now = Math.floor((Date.now() + offMs) / 1000);
  const times = { iat: now, nbf: now, exp: now + lifeMs / 1000 };
  const tokens = await world.provider.tokens({ id_token: await world.provider.idToken(times) });
  const date = new Date(saysDate ? Date.now() + offMs : Date.now()).toUTCString();
  const body = await tokens.json();
  world.provider.script.token.push(() => json(body, 200, { date }));
}

/** How far the provider's clock is ahead and the life of the ID token, in minutes. */
const CLOCKS: [off: number, life: number, isTaken: boolean, how?: "no Date" | "a wrong Date"][] = [
  [-10, 60, true],
  [10, 60, true],
  [-10, 5, true],
  [10, 5, true],
  [-14, 1, true],
  [-6, 1, true, "no Date"],
  [6, 1, true, "no Date"],
  [-10, -1, false],
  [10, -1, false],
  [180, 60, false],
  [-16, 1, false],
  [-16, 1, false, "no Date"],
  [10, 60, false, "a wrong Date"],
];

for (const [off, life, isTaken, how] of CLOCKS) {
  const outcome = isTaken ? "taken" : "refused";
  test(`clock off by ${off} minutes, ${how ?? "by Date"}: an ID token of ${life} is ${outcome}`, async (world) => {
    const options = how === "no Date" ? { fetch: dateless } : {};
    const tokens = { lifeMs: life * MINUTE, saysDate: how !== "a wrong Date" };
    await answerAt(world, off * MINUTE, tokens);
    if (!isTaken) {
      await rejectsWith("id_token_invalid", () => world.signIn(options), "clock");
      return assertEquals(world.backend.get(world.key), undefined);
    }
    const session = await world.signIn(options);
    assertEquals(typeof world.stored().id_token, "string");
    await answerAt(world, off * MINUTE, tokens);
    assertEquals(await renew(session), world.stored().access_token);
    assertEquals(world.codes.length, 1);
  });
}

test("clock behind by 10 minutes, ID token as the bearer: the API's 401 renews it", async (world) => {
  world.api.script.push(() => json({ error: "expired" }, 401));
  await answerAt(world, 10 * MINUTE, { lifeMs: 12 * MINUTE });
  const session = await world.signIn({ bearer: "id_token" });
  const old = world.stored().id_token;
  world.clock.advance(15 * MINUTE); // ended for the provider, and fresh here
  await answerAt(world, 10 * MINUTE);
  world.api.script.push(() => json({ ok: true }));
  assertEquals(await session.get("thing"), { ok: true });
  assertEquals([world.stored().id_token === old, world.codes.length], [false, 1]);
});

test("clock ahead by 14 minutes: an ID token that Date alone lets pass is no bearer", async (world) => {
  await answerAt(world, -14 * MINUTE, { lifeMs: MINUTE });
  const session = await world.signIn({ bearer: "id_token" }).catch(() => undefined);
  assert(await session?.accessToken().catch(() => undefined) !== undefined); // renewed
  assertEquals(refreshes(world), 1);
});

for (const offMs of [-60 * MINUTE, 60 * MINUTE]) {
  test(`clock off by ${offMs} ms: the stored end is the provider's, and the sessions' clocks too`, async (world) => {
    const { now: _, ...options } = world.options;
    const sessions = [await createSession(options), await createSession(options)];
    const tokens = await (await world.provider.tokens({ id_token: undefined })).json();
    const date = new Date(Date.now() + offMs).toUTCString();
    world.provider.script.token.push(() => json(tokens, 200, { date }));
    const given = sessions.map((session) => renew(session)); // joins
    assertEquals(await Promise.all(given), [tokens.access_token, tokens.access_token]);
    const end = Date.parse(world.stored().expires_at!) - 3600_000 - (Date.now() + offMs);
    assert(Math.abs(end) < 20_000, `${end} ms`);
    world.provider.reset();
    assertEquals(await sessions[1]!.accessToken(), tokens.access_token);
    const { signedIn } = await sessions[0]!.status();
    assertEquals([world.provider.requests.length, signedIn], [0, true]);
  });
}

test("clock: keys out of a cache, as Google's are, say nothing of the time", async (world) => {
  const { now: _, ...options } = world.options;
  const keys = await (await fetch(`${world.provider.issuer}/jwks`)).json();
  const date = new Date(Date.now() - 50 * MINUTE).toUTCString();
  world.provider.script.jwks.push(() => json(keys, 200, { date, age: "3000" }));
  await createSession(options);
  const left = Date.parse(world.stored().expires_at!) - Date.now();
  assert(left > 59 * MINUTE, `${left} ms`);
});

test("clock off by 5 minutes: a proof of DPoP has the provider's time", async (world) => {
  world.provider.discovery = { dpop_signing_alg_values_supported: ["ES256"] };
  const date = new Date(Date.now() + 5 * MINUTE).toUTCString();
  const device = await world.provider.device().json();
  world.provider.script.device.push(() => json(device, 200, { date }));
  let proof = "";
  world.provider.script.token.push(({ headers }) => {
    proof = headers.get("dpop")!;
    return json({ error: "access_denied" }, 400);
  });
  await rejectsWith("device_code_denied", () => world.signIn({ dpop: true }));
  const off = Number(readClaims(proof)?.iat) - Date.now() / 1000 - 5 * 60;
  assert(Math.abs(off) < 20, `${off} s`);
});

type Row = [what: string, provider: OidcProviderOptions, options?: Partial<SessionOptions>];

const FIVE = { accessTokenTtl: 300, idTokenTtl: 300 };

const ROWS: Row[] = [
  ["no refresh token, opaque", { issueRefreshToken: false }],
  ["no refresh token, JWT", { issueRefreshToken: false, jwtAccessTokens: true }],
  ["a short life", { accessTokenTtl: 100, idTokenTtl: 100, refreshTokenTtl: 600 }],
  [
    "like Microsoft Entra: path issuer, ID token as the bearer, no revocation",
    { path: "/tenant/v2.0", jwtAccessTokens: true, revocation: false, idTokenTtl: 4000 },
    { bearer: "id_token" },
  ],
  [
    "like Auth0: issuer with a slash, audience, JWT, rotation",
    { path: "/", jwtAccessTokens: true },
    { audience: "https://api.example.com" },
  ],
  [
    "like Keycloak: realm, JWT of five minutes, no rotation",
    { path: "/realms/acme", jwtAccessTokens: true, rotateRefreshToken: false, ...FIVE },
  ],
  ["ID token by RS256", signedBy("RS256")],
  ["ID token by PS256", signedBy("PS256")],
  ["ID token by EdDSA", signedBy("EdDSA")],
];

function signedBy(alg: "RS256" | "PS256" | "EdDSA"): OidcProviderOptions {
  return {
    async configure(config) {
      const { privateJwk } = await makeKey(alg);
      config.jwks = { keys: [...config.jwks!.keys, privateJwk] } as JWKS;
      Object.assign(config.clients![0]!, { id_token_signed_response_alg: alg });
    },
  };
}

/** Whether a token is of the signed kind. */
function isJwt(token: string): boolean {
  return token.split(".").length === 3;
}

for (const [what, provider, own] of ROWS) {
  Deno.test(`provider settings: ${what}: sign-in, refresh and sign-out`, async () => {
    await using world = await oidcProviderWorld(provider);
    const options = { ...world.options, ...own };
    const session = await createSession(options);
    const key = credentialKey(world.provider.issuer, world.provider.clientId, options.audience);
    const stored = () => world.backend.get(key)!;
    const first = stored();
    assertEquals(isJwt(first.access_token), provider.jwtAccessTokens ?? false);
    assertEquals(Boolean(first.refresh_token), provider.issueRefreshToken ?? true);
    const isIdToken = options.bearer === "id_token";
    assertEquals(await session.accessToken(), isIdToken ? first.id_token : first.access_token);
    assert(await session.get("thing"));
    const seconds = (isIdToken ? provider.idTokenTtl : provider.accessTokenTtl) ?? 3600;
    // An ID token ends by the provider's clock, which does not go along: so a little earlier.
    world.clock.advance((isIdToken ? seconds - 100 : seconds) * 1000);
    const isRenewed = provider.issueRefreshToken !== false;
    if (isRenewed) {
      await session.accessToken();
      const isRotated = stored().refresh_token !== first.refresh_token;
      assertEquals(isRotated, provider.rotateRefreshToken ?? true);
    } else {
      await rejectsWith("login_required", () => session.accessToken(), "no refresh token");
      await createSession(options);
    }
    const { access_token, refresh_token } = stored();
    assert(access_token !== first.access_token);
    assertEquals(world.codes.length, isRenewed ? 1 : 2);
    const canRevoke = provider.revocation !== false && (isRenewed || !provider.jwtAccessTokens);
    const { revocation, keys } = await session.clear({ revoke: true });
    assertEquals([revocation, keys.length], [canRevoke ? "revoked" : "not_supported", 1]);
    if (!canRevoke) return;
    assertEquals(await world.provider.isActive(refresh_token ?? access_token), false);
  });
}
