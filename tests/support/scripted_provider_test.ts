import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { hang, json, resetConnection, truncated } from "./http_server.ts";
import { makeSigningKey, verifyJwt } from "./jwt.ts";
import {
  oauthError,
  type ScriptedProvider,
  type ScriptedProviderOptions,
  startScriptedProvider,
} from "./scripted_provider.ts";
import { sha256Hex } from "./sha256_hex.ts";

const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";

function send(
  provider: ScriptedProvider,
  path: string,
  form: Record<string, string>,
  signal?: AbortSignal,
): Promise<Response> {
  const base = provider.issuer.replace(/\/$/, "");
  const fields = new URLSearchParams({ client_id: provider.clientId, ...form });
  // A Blob, since Deno's fetch sends other bodies again when a reused connection drops.
  const body = new Blob([String(fields)], { type: "application/x-www-form-urlencoded" });
  return fetch(base + path, { method: "POST", body, ...(signal ? { signal } : {}) });
}

async function post(
  provider: ScriptedProvider,
  path: string,
  form: Record<string, string>,
  // deno-lint-ignore no-explicit-any -- bodies are looked at member by member
): Promise<{ status: number; body: any }> {
  const response = await send(provider, path, form);
  const text = await response.text();
  return { status: response.status, body: text.startsWith("{") ? JSON.parse(text) : text };
}

function poll(provider: ScriptedProvider, deviceCode: string, form: Record<string, string> = {}) {
  return post(provider, "/token", { grant_type: DEVICE_GRANT, device_code: deviceCode, ...form });
}

function refresh(provider: ScriptedProvider, token: string) {
  return post(provider, "/token", { grant_type: "refresh_token", refresh_token: token });
}

function scriptedTest(
  name: string,
  fn: (provider: ScriptedProvider) => Promise<void>,
  options?: ScriptedProviderOptions,
): void {
  Deno.test(`scripted provider: ${name}`, async () => {
    await using provider = await startScriptedProvider(options);
    await fn(provider);
  });
}

for (const path of ["", "/", "/realms/acme", "/realms/acme/"]) {
  scriptedTest(`discovery and keys with issuer path "${path}"`, async (provider) => {
    const base = provider.issuer.replace(/\/$/, "");
    const document = await (await fetch(`${base}/.well-known/openid-configuration`)).json();
    assertEquals([document.issuer, document.token_endpoint], [provider.issuer, `${base}/token`]);
    const { keys } = await (await fetch(document.jwks_uri)).json();
    const claims = await verifyJwt(await provider.idToken({ name: undefined }), keys[0]);
    assertEquals(claims?.iss, provider.issuer);
    assertEquals(claims !== undefined && "name" in claims, false);
  }, { path });
}

scriptedTest("device flow, rotation, reuse", async (provider) => {
  const device = (await post(provider, "/device", { scope: "openid x" })).body;
  assertEquals((await poll(provider, device.device_code)).body.error, "authorization_pending");
  provider.approve();
  const first = (await poll(provider, device.device_code)).body;
  assertEquals([first.token_type, first.scope], ["Bearer", "openid x"]);
  assertEquals((await poll(provider, device.device_code)).body.error, "invalid_grant");
  const second = (await refresh(provider, first.refresh_token)).body;
  assert(provider.isActive(second.access_token));
  assertEquals((await refresh(provider, first.refresh_token)).body.error, "invalid_grant");
  assertEquals((await refresh(provider, second.refresh_token)).body.error, "invalid_grant");
  assertEquals(provider.isActive(second.access_token), false);
});

scriptedTest("deny, expiry, revocation", async (provider) => {
  const denied = (await post(provider, "/device", {})).body.device_code;
  provider.deny();
  assertEquals((await poll(provider, denied)).body.error, "access_denied");
  const expired = (await post(provider, "/device", {})).body.device_code;
  provider.expireDeviceCodes();
  assertEquals((await poll(provider, expired)).body.error, "expired_token");
  provider.autoApprove = true;
  const approved = (await post(provider, "/device", {})).body.device_code;
  const { body } = await poll(provider, approved);
  assertEquals((await post(provider, "/revoke", { token: body.refresh_token })).status, 200);
  assertEquals(provider.isActive(body.access_token), false);
});

scriptedTest("PKCE is demanded and checked", async (provider) => {
  provider.autoApprove = true;
  assertEquals((await post(provider, "/device", {})).body.error, "invalid_request");
  const verifier = "a-verifier-that-is-long-enough-for-the-rules-of-pkce";
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const challenge = new Uint8Array(digest).toBase64({ alphabet: "base64url", omitPadding: true });
  const form = { code_challenge: challenge, code_challenge_method: "S256" };
  const device = (await post(provider, "/device", form)).body;
  assertEquals((await poll(provider, device.device_code)).body.error, "invalid_grant");
  const { status } = await poll(provider, device.device_code, { code_verifier: verifier });
  assertEquals(status, 200);
}, { requirePkce: true });

scriptedTest("handlers are used once each, in order", async (provider) => {
  provider.script.token.push(
    () => oauthError("slow_down", 400, { "retry-after": "7" }),
    async (_request, form) => {
      assertEquals(form.get("device_code"), "x");
      return await provider.tokens({ token_type: undefined, expires_in: "3600" });
    },
    () => {},
  );
  const slow = await send(provider, "/token", { grant_type: DEVICE_GRANT, device_code: "x" });
  assertEquals(slow.headers.get("retry-after"), "7");
  assertEquals((await slow.json()).error, "slow_down");
  const { body } = await poll(provider, "x");
  assertEquals(["token_type" in body, body.expires_in], [false, "3600"]);
  assert(provider.isActive(body.refresh_token));
  assertEquals((await poll(provider, "x")).body.error, "invalid_grant");
});

scriptedTest("discovery and device answers can be bent", async (provider) => {
  const url = `${provider.issuer}/.well-known/openid-configuration`;
  provider.discovery = { issuer: "https://elsewhere.example", jwks_uri: undefined };
  const document = await (await fetch(url)).json();
  assertEquals([document.issuer, "jwks_uri" in document], ["https://elsewhere.example", false]);
  provider.script.discovery.push(() => new Response("<html>", { status: 502 }));
  const broken = await fetch(url);
  assertEquals([broken.status, await broken.text()], [502, "<html>"]);
  provider.script.device.push(() =>
    provider.device({ verification_uri: undefined, verification_url: "http://x/", interval: "0" })
  );
  const { body } = await post(provider, "/device", {});
  assertEquals([body.interval, "verification_uri" in body], ["0", false]);
  assertEquals("interval" in (await post(provider, "/device", {})).body, false);
}, { interval: undefined });

scriptedTest("connections can reset, break off and hang", async (provider) => {
  const arrived = Promise.withResolvers<void>();
  provider.script.token.push(
    resetConnection,
    () => truncated('{"access_token":"'),
    (request) => {
      arrived.resolve();
      return hang(request);
    },
    () => json({ error: null }, 200),
  );
  await assertRejects(() => send(provider, "/token", {}), TypeError);
  const broken = await send(provider, "/token", {});
  assertEquals(broken.status, 200);
  await assertRejects(() => broken.text(), TypeError);
  const waiting = new AbortController();
  const hanging = send(provider, "/token", {}, waiting.signal);
  await arrived.promise; // a request that is aborted before would leave its answer to the next one
  waiting.abort();
  await assertRejects(() => hanging, DOMException);
  assertEquals((await post(provider, "/token", {})).body, { error: null });
});

Deno.test("scripted provider: closing ends a hanging request", async () => {
  const provider = await startScriptedProvider();
  const arrived = Promise.withResolvers<void>();
  provider.script.token.push((request) => {
    arrived.resolve();
    return hang(request);
  });
  const failed = assertRejects(() => send(provider, "/token", {}), TypeError);
  await arrived.promise;
  await provider[Symbol.asyncDispose]();
  await failed;
});

scriptedTest("ID tokens can be wrong in every way", async (provider) => {
  const { publicJwk } = provider.signingKey;
  assertEquals((await verifyJwt(await provider.idToken({ exp: 1 }), publicJwk))?.exp, 1);
  const foreign = await provider.idToken({}, { key: await makeSigningKey() });
  assertEquals(await verifyJwt(foreign, publicJwk), undefined);
  assertMatch(await provider.idToken({}, { alg: "none" }), /\.$/);
  assertEquals(await verifyJwt(await provider.idToken({}, { alg: "HS256" }), publicJwk), undefined);
});

scriptedTest("requests are recorded without secrets", async (provider) => {
  const seen = provider.waitFor(({ grantType }) => grantType === "refresh_token", { count: 2 });
  await refresh(provider, "one");
  await refresh(provider, "two");
  const { method, path, form, status } = await seen;
  assertEquals([method, path, status], ["POST", "/token", 400]);
  assertEquals(form.refresh_token, await sha256Hex("two"));
  const headers = { authorization: "Bearer secret" };
  await (await fetch(`${provider.issuer}/nothing?token=abc`, { headers })).text();
  const last = provider.requests.at(-1);
  assertEquals(last?.headers.authorization, `Bearer ${await sha256Hex("secret")}`);
  assertEquals(last?.query.token, await sha256Hex("abc"));
  provider.reset();
  assertEquals(provider.requests, []);
});
