import { VaultCredentialsBackend } from "../../../backends/vault.ts";
import { withEnv } from "../../support/own_env.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { makeKey, type SigningKey, type SignOptions } from "../../support/jwt.ts";
import type { ScriptedProvider, ScriptHandler } from "../../support/scripted_provider.ts";
import { paths } from "../../support/request_log.ts";
import {
  answerWith,
  refreshes,
  renew,
  scriptedProviderWorld,
  test,
} from "../../support/provider_world.ts";
import { tokensOf } from "../../support/entries.ts";
import { type AnyErrorCode, rejectsWith } from "../../support/rejects_with.ts";
import { hang, json } from "../../support/http_server.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { gzipSync } from "node:zlib";

const DISCOVERY_PATH = "/realms/acme/.well-known/openid-configuration";

const OTHER_ISSUERS: [what: string, issuer: unknown][] = [
  ["another host", "https://login.example.com/realms/acme"],
  ["another path", (issuer: string) => issuer.replace("acme", "other")],
  ["a longer path", (issuer: string) => `${issuer}/x`],
  ["two slashes at its end", (issuer: string) => `${issuer}//`],
  ["https instead of http", (issuer: string) => issuer.replace("http:", "https:")],
  ["Entra's template", "https://login.microsoftonline.com/{tenantid}/v2.0"],
  ["no URL", "realms/acme"],
  ["a number", 5],
  ["nothing", undefined],
];

const PROXY = "http://127.0.0.1:1";
const PROXIES: [variables: Record<string, string>, isRefused: boolean][] = [
  [{ HTTP_PROXY: PROXY }, true],
  [{ all_proxy: PROXY, NO_PROXY: "localhost, example.com" }, true],
  [{ HTTP_PROXY: PROXY, no_proxy: "example.com, 127.0.0.0/8" }, false],
  [{ http_proxy: PROXY, NO_PROXY: "127.0.0.1" }, false],
  [{ HTTPS_PROXY: PROXY }, false],
  // As Deno takes them: a star is for names alone, and an empty variable hides the one in small letters.
  [{ HTTP_PROXY: PROXY, NO_PROXY: "*" }, true],
  [{ HTTP_PROXY: PROXY, NO_PROXY: "", no_proxy: "127.0.0.1" }, true],
  [
    { HTTP_PROXY: PROXY, NO_PROXY: "127.0.0.0, 127.0.0.0/32, localhost/8, 127., 127.0.0.1/a" },
    true,
  ],
];

test.signedIn("attack: a proxy gets nothing in clear text of what is for this computer", async ({ session, ...world }) => {
  const address = world.provider.issuer;
  const auth = { method: "token", token: "t" } as const;
  const vault = () => new VaultCredentialsBackend({ address, path: "a", auth }).get("k");
  for (const [variables, isRefused] of PROXIES) {
    world.provider.reset();
    await withEnv(variables, async () => {
      if (!isRefused) return void await session.get("thing");
      const words = "HTTP_PROXY would get it in clear text";
      await rejectsWith("api_unreachable", () => session.get("thing"), words);
      await rejectsWith("provider_unavailable", () => renew(session), words);
      await rejectsWith("backend_unavailable", vault, words);
    });
    assertEquals(world.provider.requests, []);
  }
});

for (const [what, issuer] of OTHER_ISSUERS) {
  Deno.test(`attack: discovery whose issuer is ${what}: refused before anything is sent`, async () => {
    await using world = await scriptedProviderWorld({ path: "/realms/acme" });
    const stated = typeof issuer === "function" ? issuer(world.provider.issuer) : issuer;
    world.provider.discovery = { issuer: stated };
    await rejectsWith("provider_invalid", () => world.signIn(), world.provider.issuer);
    assertEquals([paths(world.provider.requests), world.codes], [[DISCOVERY_PATH], []]);
  });
}

type Make = (provider: ScriptedProvider) => Promise<string> | string;

function signed(claims: Record<string, unknown>, options?: SignOptions): Make {
  return (provider) => provider.idToken(claims, options);
}

/** Of an algorithm that discovery lists, and that nobody may take. */
function listed(alg: "none" | "HS256"): Make {
  return async (provider) => {
    provider.discovery = { id_token_signing_alg_values_supported: [alg, "ES256"] };
    return await provider.idToken({}, { alg });
  };
}

/** An attacker's key, that calls itself by the name of the provider's. */
async function forgedKey(provider: ScriptedProvider): Promise<SigningKey> {
  return { ...await makeKey("ES256"), kid: provider.signingKey.kid };
}

async function withOwnKey(provider: ScriptedProvider): Promise<string> {
  const key = await forgedKey(provider);
  const header = { jku: "https://login.example.com/jwks", jwk: key.publicJwk };
  return await provider.idToken({}, { key, header });
}

async function byAnotherRsaKey(provider: ScriptedProvider): Promise<string> {
  const [own, other] = [await makeKey(), await makeKey()];
  provider.discovery = { id_token_signing_alg_values_supported: ["RS256"] };
  provider.script.jwks.push(() => json({ keys: [own.publicJwk] }));
  return await provider.idToken({}, { key: { ...other, kid: own.kid } });
}

const byPublicKey: Make = (provider) =>
  provider.idToken({}, { alg: "HS256", secret: JSON.stringify(provider.signingKey.publicJwk) });
const LOGOUT = { "http://schemas.openid.net/event/backchannel-logout": {} };

type Json = Record<string, unknown>;

const NOW = Math.floor(Date.now() / 1000);

/** Access tokens with their hashes, as OpenID Connect Core says. */
const ACCESS_HASHES = [
  ["access-one", "OAgnQHNyGpHUBta3f85Lfw"],
  ["access-two", "qSClYIRuQ4lryw-s5LXrvw"],
] as const;

const ID_TOKENS: [what: string, make: Make][] = [
  ["another issuer", signed({ iss: "https://login.example.com" })],
  ["the issuer with a slash", (provider) => provider.idToken({ iss: `${provider.issuer}/` })],
  ["no issuer", signed({ iss: undefined })],
  ["another audience", signed({ aud: "another-client" })],
  ["no audience", signed({ aud: undefined })],
  ["many audiences and another azp", (one) => one.idToken({ aud: [one.clientId, "x"], azp: "x" })],
  ["many audiences and no azp", (one) => one.idToken({ aud: [one.clientId, "x"] })],
  ["one audience and another azp", signed({ azp: "x" })],
  ["an azp that is no text", (provider) => provider.idToken({ azp: [provider.clientId] })],
  ["an end an hour ago", signed({ exp: NOW - 3600 })],
  ["an end two minutes ago", signed({ exp: NOW - 120 })],
  ["no end", signed({ exp: undefined })],
  ["an end that is no number", signed({ exp: "2099" })],
  ["a start in an hour", signed({ nbf: NOW + 3600 })],
  ["no time of issue", signed({ iat: undefined })],
  ["no subject", signed({ sub: undefined })],
  ["a subject that is no text", signed({ sub: 5 })],
  ["an empty subject", signed({ sub: "" })],
  ["an issue in an hour", signed({ iat: NOW + 3600, exp: NOW + 7200 })],
  ["the hash of another access token", signed({ at_hash: "AAAAAAAAAAAAAAAAAAAAAA" })],
  ["a hash that is no text", signed({ at_hash: 5 })],
  ["the type of an access token", signed({}, { header: { typ: "at+jwt" } })],
  ["the type of a logout token", signed({}, { header: { typ: "logout+jwt" } })],
  ["the type of a proof of a key", signed({}, { header: { typ: "dpop+jwt" } })],
  ["a type that is no text", signed({}, { header: { typ: ["JWT"] } })],
  ["the event of a logout", signed({ events: LOGOUT })],
  ["the signature of another key", async (one) => one.idToken({}, { key: await forgedKey(one) })],
  ["the signature of a key in its own header", withOwnKey],
  [
    "a key that the provider lacks",
    async (one) => one.idToken({}, { key: await makeKey("ES256") }),
  ],
  ["the signature of another key of RSA", byAnotherRsaKey],
  ["no signature, as discovery lists it", listed("none")],
  ["no signature, alg ES256", signed({}, { alg: "none", header: { alg: "ES256" } })],
  ["a signature by a shared secret, as discovery lists it", listed("HS256")],
  ["a signature by the public key as a shared secret", byPublicKey],
  ["an algorithm that discovery does not list", signed({}, { header: { alg: "ES384" } })],
  ["a critical header that nobody knows", signed({}, { header: { crit: ["x"], x: 1 } })],
  ["claims changed after signing", async (provider) => {
    const [head, , signature] = (await provider.idToken()).split(".");
    const [, claims] = (await provider.idToken({ name: "Eve" })).split(".");
    return `${head}.${claims}.${signature}`;
  }],
  ["no JWT in it", () => "opaque-and-long-enough"],
];

/** Answers for tokens: the code and words of the error, and members that are not the usual ones. */
const REFUSED: [
  what: string,
  code: "id_token_invalid" | "provider_invalid",
  words: string,
  make: (provider: ScriptedProvider) => Json | Promise<Json>,
][] = [
  ...ID_TOKENS.map(([what, make]): typeof REFUSED[number] => [
    `an ID token with ${what}`,
    "id_token_invalid",
    "the ID token failed its checks",
    async (provider) => ({ id_token: await make(provider) }),
  ]),
  [
    "an ID token that is encrypted",
    "id_token_invalid",
    "Switch off the encryption of ID tokens",
    () => ({ id_token: "eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d" }),
  ],
  // Base64 that is decoded leniently does not mind, and the signature does not cover itself.
  ["an ID token that is broken off", "provider_invalid", "a token has characters", async (one) => ({
    id_token: (await one.idToken()).replace(/(?=.{9}$)/, "\r\n"),
  })],
  // A token with a line break and a header, with a space, an escape sequence, or not in ASCII.
  ...["t\r\nX-Evil: 1", "t t", "t\x1b[2J", "t-é"].map((end): typeof REFUSED[number] => [
    `an access token that ends in ${JSON.stringify(end)}`,
    "provider_invalid",
    "a token has characters",
    () => ({ access_token: `secret-access-${end}` }),
  ]),
  ["no access token", "provider_invalid", "", () => ({ access_token: undefined })],
  // Never sent as a bearer.
  ["the type DPoP, for which nobody asked", "provider_invalid", "DPoP", () => ({
    token_type: "DPoP",
  })],
  ["a type that nobody knows", "provider_invalid", "", () => ({ token_type: "x" })],
];

for (const [what, code, words, make] of REFUSED) {
  test(`attack: ${what}: refused, and nothing is stored or shown but the new refresh token`, async (world) => {
    const { provider } = world;
    const fails = async (expected: AnyErrorCode, run: () => Promise<unknown>) => {
      const answer = await (await provider.tokens(await make(provider))).json();
      provider.script.token.push(() => Response.json(answer));
      const told = await rejectsWith(expected, run, provider.issuer);
      assertNoSecret(told, tokensOf(answer));
      const error = expected === code ? told : told.cause as Error;
      assertStringIncludes(error.message, words);
      return { answer, error };
    };
    const { error } = await fails(code, () => world.signIn());
    const isOfTime = /with (an end .*ago|a start in|an issue in)/.test(what);
    assertEquals([error.cause, error.message.includes("clock")], [undefined, isOfTime]);
    assertEquals(world.backend.get(world.key), undefined);

    const session = await world.signIn();
    const before = world.stored();
    // A person leads out of a bad ID token.
    const atRefresh = code === "id_token_invalid" ? "login_required" : code;
    const run = () => renew(session);
    const { answer: { refresh_token }, error: cause } = await fails(atRefresh, run);
    assertEquals([(cause as { code?: string }).code, cause.cause], [code, undefined]);
    // The old refresh token is spent: the new one counts, and nothing else of that answer.
    assertEquals(world.stored(), { ...before, refresh_token });
    world.clock.advance(60_000); // not tried again earlier
    assertEquals(await renew(session), world.stored().access_token);
  });
}

/** Forms that the specification allows, or that providers are known to send. */
const TAKEN: [
  what: string,
  make: (of: { clientId: string; at_hash: string }) => [Json, SignOptions?],
][] = [
  ["more audiences and this azp", ({ clientId }) => [{ aud: [clientId, "api"], azp: clientId }]],
  ["one audience in a list", ({ clientId }) => [{ aud: [clientId] }]],
  ["the type JWT", () => [{}, { header: { typ: "JWT" } }]],
  ["the long type of a JWT", () => [{}, { header: { typ: "application/jwt" } }]],
  ["an issue ten minutes ahead, by a clock that is off", () => [{ iat: NOW + 600 }]],
  ["an old issue", () => [{ iat: NOW - 86_400 }]],
  ["the hash of its access token", ({ at_hash }) => [{ at_hash }]],
];

for (const [what, make] of TAKEN) {
  test(`ID token with ${what}: taken, at sign-in and at a refresh`, async (world) => {
    const { clientId } = world.provider;
    for (const [access_token, at_hash] of ACCESS_HASHES) {
      const id_token = await world.provider.idToken(...make({ clientId, at_hash }));
      answerWith(world, { access_token, id_token });
    }
    const session = await world.signIn();
    assertEquals(await renew(session), "access-two");
    assertEquals(world.codes.length, 1);
  });
}

test.signedIn("attack: ID token of another person or of another sign-in at a refresh: refused", async ({ session, ...world }) => {
  world.amend({ id_token: await world.provider.idToken({ nonce: "first" }) });
  const answered = async (claims: Json) => {
    answerWith(world, { id_token: await world.provider.idToken(claims) });
    return await renew(session);
  };
  const another = () => answered({ nonce: "second" });
  const { refresh_token: _, ...first } = world.stored();
  await rejectsWith("login_required", another, "another sign-in");
  const { refresh_token, ...after } = world.stored();
  assertEquals([after, world.provider.isActive(refresh_token!)], [first, true]);
  world.clock.advance(60_000); // not tried again earlier
  for (const nonce of ["first", undefined]) await answered({ nonce });
  // Mallory's refresh token is not kept, since its next answer may come without an ID token.
  const before = world.stored();
  await rejectsWith("login_required", () => answered({ sub: "mallory" }), "another person");
  assertEquals(world.stored(), before);
});

const UNREADABLE: [what: string, id_token: unknown][] = [
  ["no JWT", "opaque"],
  ["a JWT without a subject", `e30.${btoa('{"iss":"https://login.example.com"}')}.x`],
  ["a JWT with an empty subject", `e30.${btoa('{"sub":""}')}.x`],
  ["no text", 5],
];

for (const [what, id_token] of UNREADABLE) {
  test.signedIn(`attack: stored ID token is ${what}: no other is taken in its place`, async ({ session, ...world }) => {
    world.amend({ id_token });
    const before = world.stored();
    await rejectsWith("login_required", () => renew(session), "stored ID token cannot be read");
    assertEquals([world.stored(), refreshes(world)], [before, 0]);
  });
}

const MIB = 1024 * 1024;

for (const name of ["device_authorization_endpoint", "token_endpoint", "jwks_uri"]) {
  Deno.test(`attack: https discovery names ${name} at http: refused, nobody asked`, async () => {
    const issuer = "https://login.example.com";
    for (const origin of ["http://login.example.com", "http://127.0.0.1:8080"]) {
      const discovery = { [name]: `${origin}/x` };
      await using world = await scriptedProviderWorld({ issuer, discovery });
      const fetch = spyFetch(world.provider.fetch);
      await rejectsWith("insecure_url", () => world.signIn({ fetch }), issuer, name);
      assertEquals(world.codes, []);
      assertEquals(paths(world.provider.requests), ["/.well-known/openid-configuration"]);
      assertEquals(fetch.urls.length, 1);
    }
  });
}

Deno.test("attack: https discovery names a revocation endpoint on http: nothing goes there", async () => {
  const issuer = "https://login.example.com";
  const revocation_endpoint = "http://login.example.com/revoke";
  await using world = await scriptedProviderWorld({ issuer, discovery: { revocation_endpoint } });
  const fetch = spyFetch(world.provider.fetch);
  const session = await world.signIn({ fetch });
  const result = await session.clear({ revoke: true });
  assertEquals([result.revocation, fetch.urls.includes(revocation_endpoint)], ["failed", false]);
});

const BOMB = new Uint8Array(gzipSync(new Uint8Array(9 * MIB)));
const IN_GZIP = { "content-encoding": "gzip", "content-type": "application/json" };
const NESTED = `{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}`;

/** Answers that are too much. */
const TOO_MUCH: [what: string, answer: ScriptHandler][] = [
  ["32 MiB in gzip", () => new Response(BOMB, { headers: IN_GZIP })],
  ["100,000 brackets", () => new Response(NESTED)],
  ["nothing", hang],
  ["a body that never ends", () => new Response(endless())],
];

/** One byte, and then nothing more. */
function endless(): ReadableStream<Uint8Array> {
  return new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array([32])) });
}

for (const [step, tries] of Object.entries({ discovery: 1, device: 1, token: 2, jwks: 3 })) {
  Deno.test(`attack: ${step} answers with too much: it is cut off`, async () => {
    for (const [what, answer] of TOO_MUCH) {
      await using world = await scriptedProviderWorld({ deviceCodeTtl: 2 });
      let bytes = 0;
      const fetch = spyFetch(async (url, init) => {
        const response = await globalThis.fetch(url, init);
        const count = new TransformStream<Uint8Array, Uint8Array>({
          transform(chunk, controller) {
            bytes += chunk.length; // after decompression
            controller.enqueue(chunk);
          },
        });
        return new Response(response.body?.pipeThrough(count), response);
      });
      world.provider.script[step as "device"].push(...Array(20).fill(answer));
      const code = step === "token" ? "device_code_expired" : "provider_unavailable";
      await rejectsWith(code, () => world.signIn({ fetch, timeoutMs: 300 }));
      assertEquals(world.backend.get(world.key), undefined);
      assert(bytes < tries * 8 * MIB, `${what}: ${bytes} bytes`);
    }
  });
}
