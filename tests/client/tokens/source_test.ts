import { assert, assertEquals } from "@std/assert";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type { AuthEvent } from "../../../client/auth_event.ts";
import { createSession } from "../../../client/create_session.ts";
import { credentialKey } from "../../../client/entry.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { oauthError } from "../../support/scripted_provider.ts";
import { sha256Hex } from "../../support/sha256_hex.ts";
import { tempDir } from "../../support/temp_home.ts";
import { paths } from "../../support/request_log.ts";
import { oidcProviderWorld, scriptedProviderWorld } from "../../support/provider_world.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { tokensOf } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const HOUR = 3600_000;

Deno.test("tokens: a fresh stored token is used without the provider", async () => {
  await using world = await oidcProviderWorld();
  await createSession(world.options);
  world.provider.reset();
  const before = world.stored();
  const session = await createSession({ ...world.options, interactive: false });
  assertEquals(await session.accessToken(), before.access_token);
  assertEquals([world.provider.requests, world.stored()], [[], before]);
});

Deno.test("tokens: an expired one is refreshed, and the rotated refresh token is stored", async () => {
  await using world = await oidcProviderWorld();
  const session = await createSession(world.options);
  const old = world.stored();
  world.clock.advance(HOUR - 119_000); // inside the skew
  world.provider.reset();
  const token = await session.accessToken();
  const entry = world.stored();
  assertEquals(token, entry.access_token);
  assert(entry.access_token !== old.access_token && entry.refresh_token !== old.refresh_token);
  assertEquals(Date.parse(entry.expires_at!), world.clock.now() + HOUR);
  assertEquals([entry.scope, entry.issuer], [old.scope, old.issuer]);
  const [refresh, ...rest] = world.provider.requests;
  assertEquals([refresh?.grantType, rest.length], ["refresh_token", 0]);
  assertEquals(refresh?.form.refresh_token, await sha256Hex(old.refresh_token!));
  assert(await world.provider.isActive(entry.access_token));
  assert(await world.provider.isActive(entry.refresh_token!));
});

Deno.test("tokens: a refresh uses no setTimeout, whose first use takes Deno some 4 ms", async () => {
  await using world = await oidcProviderWorld();
  await using folder = await tempDir("refresh-");
  const credentialsBackend = new FileCredentialsBackend({ path: `${folder.path}/tokens.json` });
  const session = await createSession({ ...world.options, credentialsBackend });
  world.clock.advance(HOUR);
  const original = globalThis.setTimeout;
  const uses: string[] = [];
  globalThis.setTimeout = ((...args: Parameters<typeof original>) => {
    const own = new Error().stack!.match(/(?<!tests)\/(client|backends)\/.*/);
    if (own !== null) uses.push(own[0]);
    return original(...args);
  }) as typeof original;
  try {
    await session.accessToken();
  } finally {
    globalThis.setTimeout = original;
  }
  assertEquals(uses, []);
});

Deno.test("tokens: a refresh asks for the endpoints before the code that reads them is loaded, and once", async () => {
  await using world = await oidcProviderWorld();
  await createSession(world.options);
  world.clock.advance(HOUR);
  let hasJustStarted = false;
  const onEvent = ({ type }: AuthEvent) => {
    hasJustStarted = type === "refresh_started";
    queueMicrotask(() => hasJustStarted = false);
  };
  const early: string[] = [];
  const fetch = spyFetch((url, init) => {
    if (hasJustStarted) early.push(url);
    return globalThis.fetch(url, init);
  });
  await createSession({ ...world.options, fetch, onEvent, interactive: false });
  assertEquals(early, [`${world.provider.issuer}/.well-known/openid-configuration`]);
  assertEquals(fetch.urls.filter((url) => early.includes(url)), early);
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
    assertEquals(fetch.urls.length, 1, `${path}: ${fetch.urls}`);
  }
});

Deno.test("tokens: a request for the endpoints that is not answered ends with the refresh", async () => {
  await using world = await oidcProviderWorld();
  await createSession(world.options);
  world.clock.advance(HOUR);
  const signals: (AbortSignal | null | undefined)[] = [];
  const fetch = spyFetch((_, { signal }) => {
    signals.push(signal);
    return new Promise<never>(() => {});
  });
  const options = { ...world.options, fetch, timeoutMs: 20, interactive: false };
  await rejectsWith("provider_unavailable", () => createSession(options), "answer within 20 ms");
  assertEquals(signals.map((signal) => signal?.aborted), [true]);
});

Deno.test("tokens: before the skew nothing is asked, neither backend nor provider", async () => {
  await using world = await oidcProviderWorld();
  const backend = new SpyBackend();
  const session = await createSession({ ...world.options, credentialsBackend: backend });
  world.clock.advance(HOUR - 121_000);
  world.provider.reset();
  backend.calls.length = 0;
  await session.accessToken();
  assertEquals([world.provider.requests, backend.calls], [[], []]);
});

Deno.test("tokens: a start from an expired entry refreshes it", async () => {
  await using world = await oidcProviderWorld();
  await createSession(world.options);
  world.clock.advance(2 * HOUR);
  const session = await createSession({ ...world.options, interactive: false });
  assertEquals(await session.accessToken(), world.stored().access_token);
  assertEquals(world.codes.length, 1);
});

Deno.test("tokens: the audience goes on the refresh, and into key and entry", async () => {
  await using world = await oidcProviderWorld({ jwtAccessTokens: true });
  const session = await createSession({ ...world.options, audience: "my api" });
  await session.accessToken({ forceRefresh: true });
  const refresh = world.provider.requests.findLast(({ path }) => path === "/token");
  assertEquals([refresh?.grantType, refresh?.form.audience], ["refresh_token", "my api"]);
  assertEquals(world.backend.get(world.key), undefined);
  assertEquals(world.backend.get(`${world.key}|my api`)?.audience, "my api");
});

for (const nothing of [undefined, null, ""]) {
  Deno.test(`tokens: refresh token ${nothing} in a refresh keeps the old one`, async () => {
    await using world = await scriptedProviderWorld();
    const session = await createSession(world.options);
    const { refresh_token, id_token } = world.stored();
    world.provider.script.token.push(() =>
      world.provider.tokens({ refresh_token: nothing, id_token: nothing })
    );
    await session.accessToken({ forceRefresh: true });
    assertEquals(world.stored().refresh_token, refresh_token);
    assertEquals(world.stored().id_token, id_token);
  });
}

Deno.test("tokens: what other programs wrote into the entry survives a refresh", async () => {
  await using world = await scriptedProviderWorld();
  const session = await createSession(world.options);
  world.amend({ note: { by: "python" } });
  await session.accessToken({ forceRefresh: true });
  assertEquals(world.stored().note, { by: "python" });
});

Deno.test("tokens: a refused refresh token drops the entry, and nobody is asked", async () => {
  await using world = await oidcProviderWorld();
  const session = await createSession(world.options);
  const secrets = tokensOf(world.stored());
  world.provider.revokeGrants();
  world.clock.advance(HOUR);
  const error = await rejectsWith("login_required", () => session.accessToken(), "init()");
  assertEquals((error.cause as { oauthError?: string }).oauthError, "invalid_grant");
  assertNoSecret(error, secrets);
  assertEquals([world.backend.get(world.key), world.codes.length], [undefined, 1]);
  assertEquals((await session.status()).refreshable, false);
  await rejectsWith("login_required", () => session.accessToken(), "no sign-in is stored");
});

/** Any refusal may come from a provider that no list knows. Only invalid_grant ends the sign-in. */
const REFUSALS = [
  "interaction_required",
  "consent_required",
  "access_denied",
  "invalid_token",
  "invalid_request",
  "invalid_scope",
  "unauthorized_client",
  "bad_refresh_token",
  "E1234",
  "<b>no</b>",
];

for (const name of REFUSALS) {
  Deno.test(`tokens: ${name} at a refresh wants the person, and keeps the entry`, async () => {
    await using world = await scriptedProviderWorld();
    const session = await createSession(world.options);
    world.clock.advance(HOUR);
    const before = world.stored();
    const refusal = { error: name, error_description: "The session has ended" };
    const refuse = () => Response.json(refusal, { status: 400 });
    world.provider.script.token.push(refuse, refuse, refuse);
    const words = ["the provider refused to refresh it", "The session has ended", "init()"];
    await rejectsWith("login_required", () => session.accessToken(), ...words);
    const options = { ...world.options, interactive: false };
    await rejectsWith("login_required", () => createSession(options), ...words);
    assertEquals([world.stored(), world.codes.length], [before, 1]);
    assertEquals((await session.status()).refreshable, true);
    await createSession(world.options);
    assertEquals([world.codes.length, world.provider.script.token.length], [2, 0]);
  });
}

Deno.test("tokens: a refused refresh token at the start leads to a new sign-in", async () => {
  await using world = await oidcProviderWorld();
  await createSession(world.options);
  world.provider.revokeGrants();
  world.clock.advance(HOUR);
  await createSession(world.options);
  assertEquals(world.codes.length, 2);
  assert(await world.provider.isActive(world.stored().access_token));
});

Deno.test("tokens: refused after another process rotated them: its entry is used", async () => {
  await using world = await scriptedProviderWorld();
  const backend = new SpyBackend(); // has no lock
  const session = await createSession({ ...world.options, credentialsBackend: backend });
  world.clock.advance(HOUR);
  const theirs = {
    ...backend.rows.get(world.key)!,
    access_token: "their-access",
    refresh_token: "their-refresh",
    expires_at: new Date(world.clock.now() + HOUR).toISOString(),
  };
  world.provider.script.token.push(() => {
    backend.rows.set(world.key, theirs);
    return oauthError("invalid_grant");
  });
  assertEquals(await session.accessToken(), "their-access");
  assertEquals(backend.rows.get(world.key), theirs);
});

Deno.test("tokens: what another process has refreshed already is not refreshed again", async () => {
  await using world = await scriptedProviderWorld();
  const session = await createSession(world.options);
  world.clock.advance(HOUR);
  const expires_at = new Date(world.clock.now() + HOUR).toISOString();
  world.amend({ access_token: "their-access", expires_at });
  world.provider.reset();
  assertEquals(await session.accessToken(), "their-access");
  assertEquals(world.provider.requests, []);
});

Deno.test("tokens: a refusal without a word wants the person, and keeps the entry", async () => {
  for (const status of [400, 401, 403]) {
    await using world = await scriptedProviderWorld();
    const session = await createSession(world.options);
    world.clock.advance(HOUR);
    const before = world.stored();
    const refuse = () => new Response(null, { status });
    world.provider.script.token.push(refuse, refuse);
    await rejectsWith(
      "login_required",
      () => session.accessToken(),
      "client",
      "proxy",
      `status ${status}`,
      "init()",
    );
    assertEquals([world.stored(), (await session.status()).refreshable], [before, true]);
    await createSession(world.options);
    assertEquals(world.codes.length, 2);
  }
});

Deno.test("tokens: a refusal of the client itself keeps the entry, asks nobody and is told", async () => {
  await using world = await scriptedProviderWorld();
  await createSession(world.options);
  world.clock.advance(HOUR);
  const before = world.stored();
  world.provider.script.token.push(() => oauthError("invalid_client", 401));
  await rejectsWith("provider_refused", () => createSession(world.options), "invalid_client");
  assertEquals([world.stored(), world.codes.length], [before, 1]);
});

Deno.test("tokens: without a stated lifetime the end of the token itself counts", async () => {
  await using world = await scriptedProviderWorld();
  const seconds = Math.floor(world.clock.now() / 1000);
  for (const expires_in of [undefined, 0]) {
    const access_token = await world.provider.idToken({ exp: seconds + 300 });
    world.provider.script.token.push(() => world.provider.tokens({ access_token, expires_in }));
    const session = await createSession(world.options);
    const { expiresAt } = await session.status();
    assertEquals(expiresAt, new Date((seconds + 300) * 1000));
    await session.clear();
  }
});

Deno.test("tokens: a token in its last minutes bridges an outage, asking every ten seconds", async () => {
  await using world = await scriptedProviderWorld();
  let isDown = false;
  const fetch = spyFetch((url, init) => {
    if (isDown) throw new TypeError("down");
    return globalThis.fetch(url, init);
  });
  const session = await createSession({ ...world.options, fetch });
  const { access_token } = world.stored();
  world.clock.advance(HOUR - 60_000);
  isDown = true;
  fetch.urls.length = 0;
  const expectedTries = [1, 1, 1, 2, 2, 2, 3];
  for (const [call, tries] of expectedTries.entries()) {
    assertEquals(await session.accessToken(), access_token);
    assertEquals(fetch.urls.length, tries, `call ${call}`);
    world.clock.advance(4_000);
  }
  await rejectsWith("provider_unavailable", () => session.accessToken({ forceRefresh: true }));
  world.clock.advance(60_000 - 7 * 4_000);
  await rejectsWith("provider_unavailable", () => session.accessToken());
  isDown = false;
  assertEquals(await session.accessToken(), world.stored().access_token);
});

Deno.test("tokens: the redirect of a captive portal is bridged, too", async () => {
  await using world = await scriptedProviderWorld();
  const session = await createSession(world.options);
  const { access_token } = world.stored();
  world.clock.advance(HOUR - 60_000);
  const location = "https://portal.example.com/";
  world.provider.script.token.push(() => Response.redirect(location, 302));
  assertEquals(await session.accessToken(), access_token);
  world.clock.advance(11_000);
  assertEquals(await session.accessToken(), world.stored().access_token);
  assert(world.stored().access_token !== access_token);
});

Deno.test("tokens: a start in a token's last minutes survives an outage, too", async () => {
  await using world = await scriptedProviderWorld();
  await createSession(world.options);
  world.clock.advance(HOUR - 60_000);
  const options = {
    ...world.options,
    fetch: spyFetch(() => Promise.reject(new TypeError("down"))),
  };
  const session = await createSession(options);
  assertEquals(await session.accessToken(), world.stored().access_token);
  world.clock.advance(60_000);
  await rejectsWith("provider_unavailable", () => createSession(options));
  assertEquals(world.codes.length, 1);
});

Deno.test("tokens: a refresh whose answer is lost was sent exactly once", async () => {
  await using world = await oidcProviderWorld();
  const session = await createSession(world.options);
  await session.accessToken({ forceRefresh: true }); // the connection is now a used one
  const { refresh_token } = world.stored();
  world.provider.reset();
  world.provider.beforeAnswer = () => "drop";
  world.clock.advance(HOUR);
  await rejectsWith("provider_unavailable", () => session.accessToken());
  assertEquals(paths(world.provider.requests), ["/token"]);
  assertEquals(world.stored().refresh_token, refresh_token);
});

Deno.test("tokens: a start that asks nobody says why the provider ended the sign-in", async () => {
  await using world = await scriptedProviderWorld();
  await createSession(world.options);
  world.clock.advance(HOUR);
  const ended = { error: "invalid_grant", error_description: "Session not active" };
  world.provider.script.token.push(() => Response.json(ended, { status: 400 }));
  const options = { ...world.options, interactive: false };
  const words = "the provider ended the sign-in: it answered invalid_grant (Session not active). ";
  const error = await rejectsWith("login_required", () => createSession(options), words);
  assertEquals((error.cause as { oauthError?: string }).oauthError, "invalid_grant");
  await rejectsWith("login_required", () => createSession(options), "no sign-in is stored");
});
