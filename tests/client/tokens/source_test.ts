import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { readClaims } from "../../../client/entry/bearer.ts";
import { createSession, FileCredentialsBackend, type SessionOptions } from "@validmind/auth";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import { credentialKey } from "../../../client/credential_key.ts";
import { generateDpopKey } from "../../../client/provider/dpop_key.ts";
import { EntryUse } from "../../../client/tokens/entry_use.ts";
import { TokenSource } from "../../../client/tokens/source.ts";
import { replace } from "../../support/replace.ts";
import type { TokenSourceOptions } from "../../../client/tokens/held_tokens.ts";
import { withEnv } from "../../support/own_env.ts";
import { answerWith, HOUR, oidcProviderWorld, test } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { oauthError } from "../../support/scripted_provider.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { tempDir } from "../../support/temp_home.ts";
import { argumentsIn, cliWorld } from "../cli/cli_world.ts";
import { storeError } from "../../support/error_parts.ts";

test.real("tokens: a fresh stored token is used without the provider, and read once", async (world) => {
  const credentialsBackend = new SpyBackend();
  const options = { ...world.options, credentialsBackend };
  await createSession(options);
  const [before] = credentialsBackend.rows.values();
  world.provider.reset();
  credentialsBackend.calls.length = 0;
  const session = await createSession({ ...options, interactive: false });
  world.clock.advance(HOUR - 121_000);
  assertEquals(await session.accessToken(), before!.access_token);
  assertEquals([world.provider.requests, credentialsBackend.calls], [[], ["get"]]);
});

test("tokens: a start from a fresh stored token, and its calls, do without the slow half", async (world) => {
  await world.signIn();
  let isAsked = false;
  const { renewal } = TokenSource.prototype;
  using _ = replace(TokenSource.prototype, "renewal", function (this: TokenSource) {
    isAsked = true;
    return renewal.call(this);
  });
  const session = await world.signIn();
  await session.get("thing");
  assertEquals([await session.accessToken(), isAsked], [world.stored().access_token, false]);
  world.clock.advance(HOUR);
  await session.accessToken();
  assertEquals(isAsked, true);
});

test("tokens: a session does not go on as another person who signed in meanwhile", async (world) => {
  const session = await world.signIn();
  const { exp, ...claims } = readClaims(`${world.stored().id_token}`)!;
  const claimsOf = (sub: string) => ({ ...claims, sub, exp: Number(exp) + 7200 });
  for (const [sub, isSame] of [[`${claims.sub}`, true], ["another", false]] as const) {
    world.amend({
      id_token: `e30.${btoa(JSON.stringify(claimsOf(sub))).replace(/=+$/, "")}.`,
      access_token: `of-${sub}`,
      expires_at: new Date(world.clock.now() + (isSame ? 2 : 4) * HOUR).toISOString(),
    });
    world.clock.advance(isSame ? HOUR : 2 * HOUR);
    const use = () => session.accessToken();
    if (isSame) assertEquals(await use(), `of-${sub}`);
    else for (const _ of "12") await rejectsWith("login_required", use, "another person");
  }
  const other = await world.signIn({ interactive: false });
  assertEquals(await other.accessToken(), "of-another");
});

test.signedIn("tokens: nor does it after a sign-out, of its own person", async ({ session, ...world }) => {
  await (await world.signIn()).clear();
  answerWith(world, { id_token: await world.provider.idToken({ sub: "another" }) });
  const other = await world.signIn();
  await rejectsWith("login_required", () => session.accessToken(), "another person");
  await other.clear();
  await world.signIn();
  assertEquals(await session.accessToken(), world.stored().access_token);
});

test.real("tokens: an expired one is refreshed, and the rotated refresh token is stored", async (world) => {
  await createSession(world.options);
  world.amend({ note: { by: "another program" } });
  const old = world.stored();
  world.clock.advance(HOUR - 119_000); // inside the skew
  world.provider.reset();
  const session = await createSession({ ...world.options, interactive: false });
  const entry = world.stored();
  assertEquals(await session.accessToken(), entry.access_token);
  assert(entry.access_token !== old.access_token && entry.refresh_token !== old.refresh_token);
  assertEquals(Date.parse(entry.expires_at!), world.clock.now() + HOUR);
  assertEquals([entry.scope, entry.issuer, entry.note], [old.scope, old.issuer, old.note]);
  const [refresh, ...rest] = world.provider.requests.filter(({ path }) => path === "/token");
  assertEquals([refresh?.grantType, rest.length], ["refresh_token", 0]);
  assertEquals(refresh?.form.refresh_token, old.refresh_token!);
  assert(await world.provider.isActive(entry.access_token));
  assert(await world.provider.isActive(entry.refresh_token!));
});

Deno.test("tokens: a refresh asks for the endpoints once, whatever the issuer's path", async () => {
  for (const path of ["", "/", "/a", "/a/", "/a//b", "//a"]) {
    const identity = { issuer: `https://login.example.com${path}`, clientId: "c" };
    const credentialsBackend = new MemoryCredentialsBackend();
    credentialsBackend.put(credentialKey(identity.issuer, identity.clientId), {
      issuer: identity.issuer,
      client_id: identity.clientId,
      access_token: "ended",
      refresh_token: "refresh",
      expires_at: new Date(0).toISOString(),
    });
    const fetch = spyFetch(() => new Response(null, { status: 404 }));
    const run = () => createSession({ ...identity, credentialsBackend, fetch, interactive: false });
    await rejectsWith("provider_invalid", run);
    const own = fetch.urls.filter((url) => url.includes("openid-configuration"));
    assertEquals(own.length, 1, `${path}: ${fetch.urls}`);
  }
});

test("tokens: a request for the endpoints that is not answered ends with the refresh", async (world) => {
  await createSession(world.options);
  world.clock.advance(HOUR);
  const signals: (AbortSignal | null | undefined)[] = [];
  const fetch = spyFetch((_, { signal }) => {
    signals.push(signal);
    return new Promise<never>(() => {});
  });
  const options = { ...world.options, fetch, timeoutMs: 20, interactive: false };
  const run = () => createSession(options);
  await rejectsWith("provider_unavailable", run, "answer came within 20 ms");
  assertEquals(signals.map((signal) => signal?.aborted), [true]);
});

Deno.test("tokens: the audience goes on every request, and into key and entry", async () => {
  await using world = await oidcProviderWorld({ jwtAccessTokens: true });
  const session = await createSession({ ...world.options, audience: "my api" });
  await session.accessToken({ forceRefresh: true });
  const asked = world.provider.requests.filter(({ path }) => /device.auth|token/.test(path));
  assertEquals(new Set(asked.map(({ form }) => form.audience)), new Set(["my api"]));
  assertEquals([asked[0]?.path, asked.at(-1)?.grantType], ["/device/auth", "refresh_token"]);
  assertEquals(world.backend.get(world.key), undefined);
  assertEquals(world.backend.get(`${world.key}|my api`)?.audience, "my api");
});

test("tokens: a refused refresh token is not sent again, where it cannot be removed either", async (world) => {
  const credentialsBackend = new SpyBackend();
  const session = await createSession({ ...world.options, credentialsBackend });
  const full = storeError("backend_full", "Cannot write: no space is left.");
  credentialsBackend.before = (method, key) => {
    if (method === "delete" && key === world.key) throw full;
  };
  world.clock.advance(HOUR);
  world.provider.script.token.push(() => oauthError("invalid_grant"));
  assertEquals(await session.accessToken().catch((error) => error), full);
  world.provider.reset();
  await rejectsWith("login_required", () => session.accessToken(), "used already");
  assertEquals(world.provider.requests.filter(({ path }) => path === "/token"), []);
});

/** Values that another program may leave in an entry. */
const DAMAGED: [field: string, ...values: unknown[]][] = [
  ["access_token", 5, null, "a\nb"],
  ["refresh_token", 5, ["x"], ""],
  ["id_token", 5, "text"],
  ["expires_at", 7],
  ["scope", {}],
  ["dpop_key", "x"],
];

test("tokens: a damaged field of the entry locks nobody out, and a sign-out removes it", async (world) => {
  for (const [field, ...values] of DAMAGED) {
    for (const value of values) {
      await world.signIn();
      world.amend({ [field]: value });
      world.clock.advance(HOUR);
      const session = await world.signIn();
      assert(world.provider.isActive(await session.accessToken()), field);
      world.amend({ [field]: value });
      assertEquals((await session.clear({ revoke: true })).keys, [world.key], field);
    }
  }
});

Deno.test("tokens: the last DPoP key is kept for use, and no former one", async () => {
  const stored = { backend: new MemoryCredentialsBackend(), key: "key" };
  const use = new EntryUse({ stored, identity: {}, runtime: {} } as unknown as TokenSourceOptions);
  const [one, other] = [(await generateDpopKey()).jwk, (await generateDpopKey()).jwk];
  const first = await use.importKey(one);
  assert(await use.importKey({ ...one }) === first);
  await use.importKey(other);
  assert(await use.importKey(one) !== first);
});

test("tokens: a token in its last minutes bridges an outage, asking every ten seconds", async (world) => {
  let isDown = false;
  const fetch = spyFetch((url, init) => {
    if (isDown) throw new TypeError("down");
    return globalThis.fetch(url, init);
  });
  const options = { ...world.options, fetch };
  const session = await createSession(options);
  const { access_token } = world.stored();
  world.clock.advance(HOUR - 60_000);
  isDown = true;
  const started = await createSession(options); // a start is bridged, too
  assertEquals(await started.accessToken(), access_token);
  fetch.urls.length = 0;
  const expectedTries = [1, 1, 1, 2, 2, 2, 3];
  for (const [call, tries] of expectedTries.entries()) {
    assertEquals(await session.accessToken(), access_token);
    const sent = fetch.urls.filter((url) => url.endsWith("/token"));
    assertEquals(sent.length, tries, `call ${call}`);
    world.clock.advance(4_000);
  }
  await rejectsWith("provider_unavailable", () => session.accessToken({ forceRefresh: true }));
  world.clock.advance(60_000 - 7 * 4_000);
  await rejectsWith("provider_unavailable", () => session.accessToken());
  await rejectsWith("provider_unavailable", () => createSession(options));
  isDown = false;
  assertEquals(await session.accessToken(), world.stored().access_token);
  assertEquals(world.codes.length, 1);
});

/** Variables of stores, in a home. */
const store = (kind: string) => (home: string): Record<string, string> => ({
  VM_OIDC_CREDENTIALS_BACKEND: kind,
  VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify({ path: `${home}/named.${kind}` }),
});

const CASES: [what: string, options: SessionOptions, variables?: ReturnType<typeof store>][] = [
  ["the default store", {}],
  ["all options", {
    profile: "reviewer+2",
    scope: "openid offline_access",
    dpop: true,
    redirectUri: "http://localhost/callback",
    listen: "localhost:8765",
  }],
  ["a file that the environment names", {}, store("file")],
  ["a database that the environment names", {}, store("kv")],
];

for (const [what, options, variables] of CASES) {
  // The command line leaves a store open to the end of its process.
  const shared = { sanitizeResources: false };
  Deno.test(`the command in login_required signs in there: ${what}`, shared, async () => {
    await using world = await cliWorld({
      configure: (config) => void Object.assign(config.features!, { dPoP: { enabled: true } }),
    });
    const env = { ...world.env, ...variables?.(world.home) };
    const { issuer, clientId } = world.provider;
    const start = () => createSession({ issuer, clientId, interactive: false, ...options });
    await withEnv(env, async () => {
      const { message } = await rejectsWith("login_required", start);
      const [, command] = /Sign in with\n {2}(.*)\n/.exec(message)!;
      assertMatch(command!, /^deno run -A --no-config /);
      const { redirectUri = "", listen = "" } = options;
      for (const one of [redirectUri, listen]) assertStringIncludes(command!, one);
      assertEquals(command!.includes(" --unstable-kv "), what.startsWith("a database"));
      const { code, stderr } = await world.run(argumentsIn(command!), { env });
      assertEquals(code, 0, stderr);
      await using session = await start();
      assertEquals((await session.status()).signedIn, true);
      const again = () => session.signIn({ for: { demand: { scope: "openid email" } } });
      const { message: demanded } = await rejectsWith("login_required", again);
      const [, login] = /Sign in with\n {2}(.*)\n/.exec(demanded)!;
      const signedIn = await world.run(argumentsIn(login!), { env });
      assertEquals(signedIn.code, 0, signedIn.stderr);
      assert(!signedIn.stdout.includes("Already signed in"), login);
    });
  });
}

test("login_required names no command where none leads to the store", async (world) => {
  const options = { ...world.options, interactive: false };
  const memory = await rejectsWith("login_required", () => createSession(options));
  assertStringIncludes(memory.message, "Nothing is stored beyond this process: run init()");
  await using folder = await tempDir();
  const path = `${folder.path}/c.json`;
  for (const credentialsBackend of [new SpyBackend(), new FileCredentialsBackend({ path })]) {
    const start = () => createSession({ ...options, credentialsBackend });
    const { message } = await rejectsWith("login_required", start);
    assertMatch(message, /Sign in with the program that made the store: run init\(\)/);
    assert(!`${memory.message}${message}`.includes("cli login"));
  }
});
