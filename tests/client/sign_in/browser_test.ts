import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createSession } from "../../../mod.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { browserOptions, startBrowserFlow } from "../../support/browser_flow.ts";
import { dpopProviderWorld } from "../../support/dpop_provider_world.ts";
import { ACCOUNT } from "../../support/oidc_config.ts";
import { oidcProviderWorld, scriptedProviderWorld } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const CONSENT = { authorizationParameters: { prompt: "consent" } };

Deno.test("browser flow: a person signs in, at a real provider", async () => {
  await using world = await oidcProviderWorld();
  const { prompt, session } = await startBrowserFlow(world, CONSENT);
  assertMatch(prompt.redirectUri, /^http:\/\/127\.0\.0\.1:\d+\/callback$/);
  const page = await world.provider.follow(prompt.url);
  assertEquals([page.status, page.title], [200, "Your answer has arrived"]);
  await using signedIn = await session;
  assertEquals((await signedIn.status()).email, ACCOUNT.sub);
  const stored = world.stored();
  assert(await world.provider.isActive(stored.access_token));
  assert(await world.provider.isActive(stored.refresh_token!));
});

Deno.test("browser flow: what it stored serves a session of any flow", async () => {
  await using world = await oidcProviderWorld();
  const { prompt, session } = await startBrowserFlow(world);
  await world.provider.follow(prompt.url);
  await (await session).close();
  await using later = await createSession({ ...world.options, interactive: false });
  assertEquals((await later.status()).signedIn, true);
  await using browser = await createSession({ ...browserOptions(world), interactive: false });
  assertEquals((await browser.status()).signedIn, true);
});

Deno.test("browser flow: a refresh token that needs prompt=consent is missing by its name", async () => {
  await using world = await oidcProviderWorld();
  const { prompt, session } = await startBrowserFlow(world);
  await world.provider.follow(prompt.url);
  await (await session).close();
  assertEquals(world.stored().refresh_token, undefined);
  world.clock.advance(24 * 3600_000);
  const run = () => createSession({ ...world.options, interactive: false });
  await rejectsWith("login_required", run, "offline_access was asked for", "prompt=consent");
});

Deno.test("browser flow: the request has PKCE, state, nonce, scope, audience and the login hint", async () => {
  await using world = await oidcProviderWorld();
  const stop = new AbortController();
  const { prompt, session } = await startBrowserFlow(world, {
    scope: "openid email",
    audience: "urn:api",
    loginHint: "ada@example.com",
    authorizationParameters: { ui_locales: "de" },
    signal: stop.signal,
  });
  const query = Object.fromEntries(new URL(prompt.url).searchParams);
  const { state, nonce, code_challenge, ...rest } = query;
  for (const random of [state, nonce, code_challenge]) assertMatch(random!, /^[\w-]{43}$/);
  assertEquals(new Set([state, nonce, code_challenge]).size, 3);
  assertEquals(rest, {
    audience: "urn:api",
    client_id: world.provider.clientId,
    code_challenge_method: "S256",
    login_hint: "ada@example.com",
    redirect_uri: prompt.redirectUri,
    response_type: "code",
    scope: "openid email",
    ui_locales: "de",
  });
  stop.abort(new Error("enough"));
  const error = await session.catch((error) => error);
  assertEquals(error.message, "enough");
  assertEquals(await fetch(prompt.redirectUri).catch((error) => error.name), "TypeError");
});

Deno.test("browser flow: the answer reaches the API that the audience names", async () => {
  await using world = await oidcProviderWorld({ jwtAccessTokens: true });
  const { prompt, session } = await startBrowserFlow(world, { audience: "urn:some:api" });
  await world.provider.follow(prompt.url);
  await using signedIn = await session;
  const [, claims] = (await signedIn.accessToken()).split(".");
  const { aud } = JSON.parse(atob(claims!.replaceAll("-", "+").replaceAll("_", "/")));
  assertEquals(aud, "urn:some:api");
});

Deno.test("browser flow: a refusal on the page ends it", async () => {
  await using world = await oidcProviderWorld();
  const { prompt, session } = await startBrowserFlow(world);
  const failed = rejectsWith("authorization_denied", () => session, "access_denied");
  const page = await world.provider.follow(prompt.url, { deny: true });
  assertEquals(page.title, "Your answer has arrived");
  assertEquals((await failed).oauthError, "access_denied");
});

Deno.test("browser flow: a pushed request shows only its reference", async () => {
  await using world = await oidcProviderWorld({
    configure(config) {
      config.features!.pushedAuthorizationRequests = {
        enabled: true,
        requirePushedAuthorizationRequests: true,
      };
    },
  });
  const { prompt, session } = await startBrowserFlow(world);
  const { searchParams } = new URL(prompt.url);
  assertEquals([...searchParams.keys()].sort(), ["client_id", "request_uri"]);
  assertEquals((await world.provider.follow(prompt.url)).title, "Your answer has arrived");
  await (await session).close();
});

Deno.test("browser flow: a client that has to push, at a provider that does not say so, is told so", async () => {
  await using world = await oidcProviderWorld({
    configure({ features, clients }) {
      features!.pushedAuthorizationRequests = { enabled: true };
      Object.assign(clients![0]!, { require_pushed_authorization_requests: true });
    },
  });
  const { prompt, session } = await startBrowserFlow(world);
  const failed = rejectsWith("provider_refused", () => session, "send its request ahead");
  await (await fetch(prompt.url)).body?.cancel();
  assertEquals((await failed).oauthError, "invalid_request");
});

Deno.test("browser flow: with DPoP the code and the tokens are bound to the key", async () => {
  await using world = await dpopProviderWorld();
  const { prompt, session } = await startBrowserFlow(world, { dpop: true });
  assertMatch(new URL(prompt.url).searchParams.get("dpop_jkt")!, /^[\w-]{43}$/);
  await world.provider.follow(prompt.url);
  await using signedIn = await session;
  assertEquals((await signedIn.status()).signedIn, true);
});

Deno.test("browser flow: an address from another machine is handed in, and is spent then", async () => {
  await using world = await oidcProviderWorld();
  const { prompt, session } = await startBrowserFlow(world);
  const { url } = await world.provider.follow(prompt.url, { stopAt: prompt.redirectUri });
  await prompt.submit(`  ${url}\n`);
  await rejectsWith("address_refused", () => prompt.submit(url), "counts once");
  await (await session).close();
  await rejectsWith("address_refused", () => prompt.submit(url), "counts once");
});

for (
  const [what, address] of [
    ["nothing", ""],
    ["a code alone", "SplxlOBeZQQYbYS6WxSbIA"],
    ["the provider's page", "https://login.example.com/authorize?client_id=1&state=a"],
    ["an address without state", "http://127.0.0.1/callback?code=abcdefgh"],
    ["a program", "javascript:alert(1)?code=abcdefgh&state=a"],
    ["an address of another sign-in", "http://127.0.0.1/callback?code=abcdefgh&state=other"],
  ] as const
) {
  Deno.test(`browser flow: ${what} is refused in place of the address, and the wait goes on`, async () => {
    await using world = await oidcProviderWorld();
    const { prompt, session } = await startBrowserFlow(world);
    const error = await rejectsWith("address_refused", () => prompt.submit(address));
    if (address !== "") assert(!error.message.includes(address));
    assertEquals((await world.provider.follow(prompt.url)).title, "Your answer has arrived");
    await (await session).close();
  });
}

Deno.test("browser flow: five minutes without an answer end it, on the session's own clock", async () => {
  await using world = await oidcProviderWorld();
  const gate = Promise.withResolvers<void>();
  let waited = 0;
  const delay = (ms: number) => {
    waited = ms;
    return gate.promise;
  };
  const { prompt, session, answer } = await startBrowserFlow(world, { delay });
  assertEquals(waited, 5 * 60_000);
  const left = prompt.expiresAt.getTime() - Date.now();
  assert(left > 4 * 60_000 && left <= 5 * 60_000, String(left));
  gate.resolve();
  await rejectsWith("authorization_expired", () => session, "5 minutes");
  const late = answer({ code: "a-code-that-comes-late" });
  await rejectsWith("address_refused", () => prompt.submit(late), "has ended");
  assertEquals(await fetch(prompt.redirectUri).catch((error) => error.name), "TypeError");
});

for (const how of ["throws", "rejects"]) {
  Deno.test(`browser flow: a prompt that ${how} ends it`, async () => {
    await using world = await oidcProviderWorld();
    const reason = new Error("no display");
    const onAuthorizationUrl = () => {
      if (how === "throws") throw reason;
      return Promise.reject(reason);
    };
    const options = { ...browserOptions(world), onAuthorizationUrl };
    const error = await rejectsWith("prompt_failed", () => createSession(options));
    assertEquals(error.cause, reason);
  });
}

Deno.test("browser flow: its events name times and kinds alone", async () => {
  await using world = await oidcProviderWorld();
  const events: { type: string }[] = [];
  const { prompt, session } = await startBrowserFlow(world, {
    onEvent: (event) => void events.push(event),
  });
  await world.provider.follow(prompt.url);
  await (await session).close();
  const types = ["sign_in_started", "link_shown", "sign_in_approved", "stored"];
  assertEquals(events.map(({ type }) => type), types);
  assertNoSecret(events);
  assert(!JSON.stringify(events).includes("http://127.0.0.1:1"), "an address");
});

for (
  const [what, discovery] of [
    ["no page for it", {}],
    ["no code", {
      authorization_endpoint: "https://login.example.com/a",
      response_types_supported: ["id_token"],
    }],
    ["PKCE without S256", {
      authorization_endpoint: "https://login.example.com/a",
      code_challenge_methods_supported: ["plain"],
    }],
  ] as const
) {
  Deno.test(`browser flow: a provider that offers ${what} is refused`, async () => {
    await using world = await scriptedProviderWorld({ discovery });
    const error = await rejectsWith("flow_unsupported", () => startBrowserFlow(world));
    assertStringIncludes(error.message, "the provider");
  });
}

for (const error of ["unauthorized_client", "unsupported_response_type"]) {
  Deno.test(`browser flow: ${error} on the page names the grant that is missing`, async () => {
    await using world = await scriptedProviderWorld();
    const { provider } = world;
    provider.discovery = { authorization_endpoint: `${provider.issuer}/authorize` };
    const { answer, session } = await startBrowserFlow(world);
    const failed = rejectsWith("provider_refused", () => session, "authorization code grant");
    await (await fetch(answer({ error }))).body?.cancel();
    const { message } = await failed;
    assertStringIncludes(message, 'set flow: "device" (VM_OIDC_FLOW).');
    assert(!message.includes("device code grant"));
  });
}

Deno.test("browser flow: a page in clear text is refused", async () => {
  const discovery = { authorization_endpoint: "http://login.example.com/authorize" };
  await using world = await scriptedProviderWorld({ discovery });
  await rejectsWith("insecure_url", () => startBrowserFlow(world), "authorization_endpoint");
});
