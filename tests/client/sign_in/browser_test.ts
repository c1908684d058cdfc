import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { named } from "../../../client/options/declaration.ts";
import { ApiError, type AuthEvent, createSession } from "../../../mod.ts";
import { browserOptions, startBrowserFlow } from "../../support/browser_flow.ts";
import { dpopProviderWorld } from "../../support/dpop_provider_world.ts";
import { ACCOUNT } from "../../support/oidc_config.ts";
import { oidcProviderWorld, scriptedProviderWorld, test } from "../../support/provider_world.ts";
import { type AnyErrorCode, rejectsWith } from "../../support/rejects_with.ts";

const ARRIVED = "Your answer has arrived";
const isClosed = async (url: string) =>
  assertEquals(await fetch(url).catch((error) => error.name), "TypeError");

test.real("browser flow: a person signs in, at a real provider, for a session of any flow", async (world) => {
  const { prompt, session } = await startBrowserFlow(world, {
    authorizationParameters: { prompt: "consent" },
  });
  assertMatch(prompt.redirectUri, /^http:\/\/127\.0\.0\.1:\d+\/callback$/);
  const page = await world.provider.follow(prompt.url);
  assertEquals([page.status, page.title], [200, ARRIVED]);
  await using signedIn = await session;
  assertEquals((await signedIn.status()).email, ACCOUNT.sub);
  const stored = world.stored();
  assert(await world.provider.isActive(stored.access_token));
  assert(await world.provider.isActive(stored.refresh_token!));
  for (const options of [world.options, browserOptions(world)]) {
    await using later = await createSession({ ...options, interactive: false });
    assertEquals((await later.status()).signedIn, true);
  }
});

test.real("browser flow: a refresh token that needs prompt=consent is missing by its name", async (world) => {
  const { prompt, session } = await startBrowserFlow(world);
  await world.provider.follow(prompt.url);
  await (await session).close();
  assertEquals(world.stored().refresh_token, null);
  world.clock.advance(24 * 3600_000);
  const run = () => createSession({ ...world.options, interactive: false });
  await rejectsWith("login_required", run, "scope offline_access", "prompt=consent");
});

test.real("browser flow: the request has PKCE, state, nonce, scope, audience and the login hint", async (world) => {
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
  stop.abort("enough");
  assertEquals(await session.catch((reason) => reason), "enough");
  await isClosed(prompt.redirectUri);
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

for (
  const error of ["authorization_declined", "admin_policy_enforced", "temporarily_unavailable"]
) {
  test(`browser flow: ${error} on the page ends it by its meaning`, async (world) => {
    const { provider } = world;
    provider.discovery = { authorization_endpoint: `${provider.issuer}/authorize` };
    const { answer, session } = await startBrowserFlow(world);
    const isFault = error === "temporarily_unavailable";
    const code = isFault ? "provider_unavailable" : "authorization_denied";
    const failed = rejectsWith(code, () => session, error);
    await (await fetch(answer({ error }))).body?.cancel();
    assertEquals((await failed).kind, isFault ? "fault" : "denied");
  });
}

test.real("browser flow: a refusal on the page ends it", async (world) => {
  const { prompt, session } = await startBrowserFlow(world);
  const failed = rejectsWith("authorization_denied", () => session, "access_denied");
  const { title } = await world.provider.follow(prompt.url, { deny: true });
  assertEquals(title, "You are not signed in");
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
  const authorizationParameters = { ui_locales: "de" }; // which is no secret
  const { prompt, session } = await startBrowserFlow(world, { authorizationParameters });
  const { searchParams } = new URL(prompt.url);
  assertEquals([...searchParams.keys()].sort(), ["client_id", "request_uri"]);
  assertEquals((await world.provider.follow(prompt.url)).title, ARRIVED);
  await using signedIn = await session;
  world.api.script.push(() => new Response("denied by the model", { status: 400 }));
  const { body } = await assertRejects(() => signedIn.get("thing"), ApiError);
  assertEquals(body, "denied by the model");
});

Deno.test("browser flow: a client that has to push, at a provider that does not say so, is told so", async () => {
  await using world = await oidcProviderWorld({
    configure({ features, clients }) {
      features!.pushedAuthorizationRequests = { enabled: true };
      Object.assign(clients![0]!, { require_pushed_authorization_requests: true });
    },
  });
  const { prompt, session } = await startBrowserFlow(world);
  const failed = rejectsWith("provider_refused", () => session, "push its requests");
  await (await fetch(prompt.url)).body?.cancel();
  assertEquals((await failed).oauthError, "invalid_request");
});

for (const isPushed of [false, true]) {
  Deno.test(`browser flow: with DPoP code and tokens are bound to the key, pushed: ${isPushed}`, async () => {
    await using world = await dpopProviderWorld({ nonce: true, isPushed });
    const { prompt, session } = await startBrowserFlow(world, { dpop: true });
    const [, pushed] = world.provider.requests;
    const jkt = isPushed ? pushed!.form.dpop_jkt : new URL(prompt.url).searchParams.get("dpop_jkt");
    assertMatch(jkt!, /^[\w-]{43}$/);
    await world.provider.follow(prompt.url);
    await using signedIn = await session;
    assertEquals((await signedIn.status()).signedIn, true);
  });
}

test("browser flow: a caller that shows codes alone is not left with a link", async (world) => {
  world.provider.discovery = { authorization_endpoint: `${world.provider.issuer}/authorize` };
  const shown = new AbortController();
  const { signal } = shown;
  const onEvent = ({ type }: AuthEvent) => {
    if (type === "link_shown") shown.abort(new Error("a link was shown to nobody"));
  };
  const start = () => world.signIn({ flow: "browser", signal, onEvent });
  await rejectsWith("flow_unsupported", start, "give onAuthorizationUrl", named("flow", "device"));
});

test.real("browser flow: an address from another machine is handed in, and is spent then", async (world) => {
  const { prompt, session } = await startBrowserFlow(world);
  const { url } = await world.provider.follow(prompt.url, { stopAt: prompt.redirectUri });
  const cut = new URL(url);
  const iss = cut.searchParams.get("iss")!;
  cut.searchParams.set("iss", iss.slice(0, -5));
  await rejectsWith("address_refused", () => prompt.submit(cut.href), "Copy the whole address");
  cut.searchParams.delete("iss");
  await rejectsWith("address_refused", () => prompt.submit(cut.href), "Copy the whole address");
  await prompt.submit(`  ${url}&authuser=0&prompt=consent\n`); // as Google sends more than a code
  await rejectsWith("address_refused", () => prompt.submit(url), "used already");
  await using signedIn = await session;
  world.api.script.push(() => new Response("no consent in 2000", { status: 400 }));
  const { body } = await assertRejects(() => signedIn.get("thing"), ApiError);
  assertEquals(body, "no consent in 2000");
  await rejectsWith("address_refused", () => prompt.submit(url), "used already");
});

test.real("browser flow: an error is told, also where its address lacks the issuer (Authlib)", async (world) => {
  const { prompt, session, answer } = await startBrowserFlow(world);
  const failed = rejectsWith("authorization_denied", () => session, "access_denied");
  await prompt.submit(answer({ error: "access_denied" }));
  await failed;
});

test.real("browser flow: an error of another issuer is not told as this provider's", async (world) => {
  const { prompt, session, answer } = await startBrowserFlow(world);
  const failed = rejectsWith("provider_invalid", () => session, "iss");
  await prompt.submit(answer({ error: "access_denied", iss: "https://other.example.com" }));
  await failed;
});

test.real("browser flow: five minutes without an answer end it, on the session's own clock", async (world) => {
  const gate = Promise.withResolvers<void>();
  const waits: number[] = [];
  const delay = (ms: number) => {
    waits.push(ms);
    return gate.promise;
  };
  const { prompt, session, answer } = await startBrowserFlow(world, { delay });
  const left = prompt.expiresAt.getTime() - Date.now();
  assert(left > 4 * 60_000 && left <= 5 * 60_000, String(left));
  gate.resolve();
  await rejectsWith("authorization_expired", () => session, "5 minutes");
  assertEquals(waits, Array(60).fill(5000));
  const late = answer({ code: "a-code-that-comes-late", iss: world.provider.issuer });
  await rejectsWith("address_refused", () => prompt.submit(late), "has ended");
  await isClosed(prompt.redirectUri);
});

const PAGE = { authorization_endpoint: "https://login.example.com/a" };
const CLEAR = { authorization_endpoint: "http://login.example.com/a" };
const UNSUPPORTED = ["flow_unsupported", "the provider"] as const;
const UNFIT: [discovery: Record<string, unknown>, code: AnyErrorCode, word: string][] = [
  [{}, ...UNSUPPORTED],
  [{ ...PAGE, response_types_supported: ["id_token"] }, ...UNSUPPORTED],
  [{ ...PAGE, code_challenge_methods_supported: ["plain"] }, ...UNSUPPORTED],
  [CLEAR, "insecure_url", "authorization_endpoint"],
];

Deno.test("browser flow: a provider without page, code, S256 or TLS is refused", async () => {
  for (const [discovery, code, word] of UNFIT) {
    await using world = await scriptedProviderWorld({ discovery });
    await rejectsWith(code, () => startBrowserFlow(world), word);
  }
});

Deno.test("browser flow: an error on the page names the grant that is missing", async () => {
  for (const error of ["unauthorized_client", "unsupported_response_type"]) {
    await using world = await scriptedProviderWorld();
    const { provider } = world;
    provider.discovery = {
      authorization_endpoint: `${provider.issuer}/authorize`,
      response_types_supported: undefined, // some providers do not list them
    };
    const { answer, session } = await startBrowserFlow(world);
    const failed = rejectsWith("provider_refused", () => session, "authorization code grant");
    await (await fetch(answer({ error }))).body?.cancel();
    const { remedy } = await failed;
    assertStringIncludes(remedy, `set ${named("flow", "device")}.`);
    assert(!remedy.includes("device code grant"));
  }
});
