import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "@std/assert";
import type { AutoApproveOptions } from "./approver.ts";
import {
  type OidcProviderOptions,
  startOidcProvider,
  type TestOidcProvider,
} from "./oidc_provider.ts";
import { sha256Hex } from "./sha256_hex.ts";

const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";
const SCOPE = "openid profile email offline_access";

interface Answer {
  readonly status: number;
  // deno-lint-ignore no-explicit-any -- bodies are looked at member by member
  readonly body: any;
}

/** A client that does nothing but send forms. */
class RawClient {
  readonly #provider: TestOidcProvider;

  constructor(provider: TestOidcProvider) {
    this.#provider = provider;
  }

  async post(path: string, form: Record<string, string>): Promise<Answer> {
    const base = this.#provider.issuer.replace(/\/$/, "");
    const fields = new URLSearchParams({ client_id: this.#provider.clientId, ...form });
    // A Blob, since Deno's fetch sends other bodies again when a reused connection drops.
    const body = new Blob([String(fields)], { type: "application/x-www-form-urlencoded" });
    const response = await fetch(base + path, { method: "POST", body });
    const text = await response.text();
    return { status: response.status, body: text.startsWith("{") ? JSON.parse(text) : text };
  }

  device(form: Record<string, string> = {}): Promise<Answer> {
    return this.post("/device/auth", { scope: SCOPE, ...form });
  }

  poll(deviceCode: string): Promise<Answer> {
    return this.post("/token", { grant_type: DEVICE_GRANT, device_code: deviceCode });
  }

  refresh(refreshToken: string): Promise<Answer> {
    return this.post("/token", { grant_type: "refresh_token", refresh_token: refreshToken });
  }

  async signIn(form: Record<string, string> = {}, options?: AutoApproveOptions): Promise<Answer> {
    const approved = this.#provider.approveNext(options);
    const device = await this.device(form);
    await approved;
    return await this.poll(device.body.device_code);
  }
}

function providerTest(
  name: string,
  fn: (client: RawClient, provider: TestOidcProvider) => Promise<void>,
  options?: OidcProviderOptions,
): void {
  Deno.test(`oidc provider: ${name}`, async () => {
    await using provider = await startOidcProvider(options);
    await fn(new RawClient(provider), provider);
  });
}

function claimsOf(jwt: string): Record<string, unknown> {
  const bytes = Uint8Array.fromBase64(jwt.split(".")[1] ?? "", { alphabet: "base64url" });
  return JSON.parse(new TextDecoder().decode(bytes));
}

for (const path of ["", "/", "/realms/acme", "/realms/acme/"]) {
  providerTest(`discovery and sign-in with issuer path "${path}"`, async (client, provider) => {
    const base = provider.issuer.replace(/\/$/, "");
    assert(provider.issuer.endsWith(path));
    const response = await fetch(`${base}/.well-known/openid-configuration`);
    const document = await response.json();
    assertEquals(document.issuer, provider.issuer);
    assertEquals(document.token_endpoint, `${base}/token`);
    assertEquals(document.device_authorization_endpoint, `${base}/device/auth`);
    const { status, body } = await client.signIn();
    assertEquals(status, 200);
    assertEquals(claimsOf(body.id_token).iss, provider.issuer);
  }, { path });
}

providerTest("pending until approved, then tokens for the account", async (client, provider) => {
  const device = await client.device();
  assertEquals(Object.keys(device.body).sort(), [
    "device_code",
    "expires_in",
    "user_code",
    "verification_uri",
    "verification_uri_complete",
  ]);
  for (let poll = 0; poll < 2; poll++) {
    const pending = await client.poll(device.body.device_code);
    assertEquals([pending.status, pending.body.error], [400, "authorization_pending"]);
  }
  await provider.approve(device.body.user_code);
  const { status, body } = await client.poll(device.body.device_code);
  assertEquals(status, 200);
  assertEquals([body.token_type, body.expires_in, body.scope], ["Bearer", 3600, SCOPE]);
  const { sub, name, email, aud } = claimsOf(body.id_token);
  assertEquals(
    { sub, name, email, aud },
    {
      sub: "analyst@example.com",
      name: "Ada Analyst",
      email: "analyst@example.com",
      aud: provider.clientId,
    },
  );
  assert(await provider.isActive(body.access_token));
});

providerTest("another login signs in another account", async (client) => {
  const { body } = await client.signIn({}, { login: "bob@example.com" });
  assertEquals(claimsOf(body.id_token).sub, "bob@example.com");
});

for (const deny of [true, "confirm"] as const) {
  providerTest(`deny: ${deny}`, async (client) => {
    const { status, body } = await client.signIn({}, { deny });
    assertEquals([status, body.error], [400, "access_denied"]);
  });
}

providerTest("an expired device code", async (client, provider) => {
  const device = await client.device();
  provider.expireDeviceCodes();
  const { status, body } = await client.poll(device.body.device_code);
  assertEquals([status, body.error], [400, "expired_token"]);
  await assertRejects(() => provider.approve(device.body.user_code), Error, "Code not accepted");
});

providerTest("a device code works once; a second use ends the grant", async (client, provider) => {
  const device = await client.device();
  await provider.approve(device.body.user_code);
  const { body } = await client.poll(device.body.device_code);
  const again = await client.poll(device.body.device_code);
  assertEquals([again.status, again.body.error], [400, "invalid_grant"]);
  assertEquals(await provider.isActive(body.refresh_token), false);
});

providerTest("refresh rotates, and reuse ends the grant", async (client, provider) => {
  const first = (await client.signIn()).body;
  const second = (await client.refresh(first.refresh_token)).body;
  assert(second.refresh_token !== first.refresh_token);
  assert(await provider.isActive(second.access_token));
  const reuse = await client.refresh(first.refresh_token);
  assertEquals([reuse.status, reuse.body.error], [400, "invalid_grant"]);
  const dead = await client.refresh(second.refresh_token);
  assertEquals([dead.status, dead.body.error], [400, "invalid_grant"]);
  assertEquals(await provider.isActive(second.access_token), false);
});

providerTest("without rotation the refresh token stays", async (client) => {
  const first = (await client.signIn()).body;
  for (let time = 0; time < 2; time++) {
    const { status, body } = await client.refresh(first.refresh_token);
    assertEquals([status, body.refresh_token], [200, first.refresh_token]);
  }
}, { rotateRefreshToken: false });

providerTest("no refresh token", async (client) => {
  assertEquals("refresh_token" in (await client.signIn()).body, false);
}, { issueRefreshToken: false });

providerTest("no refresh token without offline_access", async (client) => {
  assertEquals("refresh_token" in (await client.signIn({ scope: "openid" })).body, false);
});

providerTest("revocation ends the grant", async (client, provider) => {
  const { body } = await client.signIn();
  const token = body.refresh_token;
  const { status } = await client.post("/token/revocation", { token });
  assertEquals(status, 200);
  assertEquals((await client.refresh(token)).body.error, "invalid_grant");
  assertEquals(await provider.isActive(body.access_token), false);
  const revoked = provider.requests.find(({ path }) => path === "/token/revocation");
  assertEquals(revoked?.form.token, await sha256Hex(token));
});

providerTest("without revocation the endpoint is absent", async (client, provider) => {
  const document = await (await fetch(`${provider.issuer}/.well-known/openid-configuration`))
    .json();
  assertEquals("revocation_endpoint" in document, false);
  assertEquals((await client.post("/token/revocation", { token: "x" })).status, 404);
}, { revocation: false });

providerTest("revokeGrants, expireAccessTokens, expireRefreshTokens", async (client, provider) => {
  const first = (await client.signIn()).body;
  provider.expireAccessTokens();
  assertEquals(await provider.isActive(first.access_token), false);
  assert(await provider.isActive(first.refresh_token));
  provider.expireRefreshTokens();
  assertEquals((await client.refresh(first.refresh_token)).body.error, "invalid_grant");
  const second = (await client.signIn()).body;
  provider.revokeGrants();
  assertEquals(await provider.isActive(second.access_token), false);
  assertEquals((await client.refresh(second.refresh_token)).body.error, "invalid_grant");
});

providerTest("introspection", async (client, provider) => {
  const { body } = await client.signIn({ audience: "https://api.example.com/" });
  const token = body.access_token;
  const answer = (await client.post("/token/introspection", { token })).body;
  assertEquals([answer.active, answer.aud], [true, "https://api.example.com/"]);
  provider.expireAccessTokens();
  assertEquals((await client.post("/token/introspection", { token })).body, { active: false });
});

providerTest("audience names the audience of a JWT access token", async (client, provider) => {
  const first = (await client.signIn({ audience: "my api" })).body;
  const second = (await client.refresh(first.refresh_token)).body;
  for (const { access_token } of [first, second]) {
    assertEquals(claimsOf(access_token).aud, "my api");
    assert(await provider.isActive(access_token));
    assertEquals(await provider.isActive(`${access_token.slice(0, -8)}AAAAAAAA`), false);
  }
}, { jwtAccessTokens: true });

providerTest("lifetimes and interval are as asked", async (client) => {
  const device = (await client.device()).body;
  assertEquals([device.expires_in, device.interval], [7, 0.05]);
  const { body } = await client.signIn();
  assertEquals(body.expires_in, 11);
  const { exp, iat } = claimsOf(body.id_token) as { exp: number; iat: number };
  assertEquals(exp - iat, 13);
}, { deviceCodeTtl: 7, interval: 0.05, accessTokenTtl: 11, idTokenTtl: 13 });

providerTest("autoApprove waits for polls", async (client, provider) => {
  provider.autoApprove = { afterPolls: 2 };
  const device = await client.device();
  const statuses: number[] = [];
  for (let status = 0; status !== 200;) {
    ({ status } = await client.poll(device.body.device_code));
    statuses.push(status);
  }
  assertGreater(statuses.length, 2);
  assertEquals(statuses.slice(0, 2), [400, 400]);
});

providerTest(
  "requests are recorded without secrets and without pages",
  async (client, provider) => {
    const { body } = await client.signIn({ audience: "api" });
    await client.refresh(body.refresh_token);
    assertEquals(provider.requests.map(({ method, path, status }) => [method, path, status]), [
      ["POST", "/device/auth", 200],
      ["POST", "/token", 200],
      ["POST", "/token", 200],
    ]);
    const [device, poll, refresh] = provider.requests;
    assertEquals(device?.form.audience, "api");
    assertEquals(poll?.grantType, DEVICE_GRANT);
    assertEquals(refresh?.form, {
      client_id: provider.clientId,
      grant_type: "refresh_token",
      refresh_token: await sha256Hex(body.refresh_token),
    });
    provider.reset();
    assertEquals(provider.requests, []);
  },
);

providerTest("an answer can be held and dropped", async (client, provider) => {
  const { body } = await client.signIn();
  provider.beforeAnswer = () => Promise.resolve("drop");
  await assertRejects(() => client.refresh(body.refresh_token), TypeError);
  provider.beforeAnswer = undefined;
  assertEquals(await provider.isActive(body.access_token), true);
  assertEquals((await client.refresh(body.refresh_token)).body.error, "invalid_grant");
});

providerTest("configure has the last word", async (client) => {
  assertEquals((await client.device()).body.expires_in, 42);
}, {
  configure(config) {
    config.ttl = { ...config.ttl, DeviceCode: 42 };
  },
});

Deno.test("oidc provider: closing ends waiting approvals", async () => {
  const provider = await startOidcProvider();
  provider.autoApprove = { afterMs: 60_000 };
  await new RawClient(provider).device();
  const start = performance.now();
  await provider[Symbol.asyncDispose]();
  assertLess(performance.now() - start, 5_000);
});
