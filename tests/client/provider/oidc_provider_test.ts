import { assert, assertEquals } from "@std/assert";
import { authorizeDevice, pollDevice } from "../../../client/provider/device_grant.ts";
import { refreshTokens } from "../../../client/provider/refresh_grant.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { json, resetConnection } from "../../support/http_server.ts";
import { oauthError } from "../../support/scripted_provider.ts";
import { sha256Hex } from "../../support/sha256_hex.ts";
import { paths } from "../../support/request_log.ts";
import { providerOf } from "../../support/provider_of.ts";
import { oidcProviderWorld, scriptedProviderWorld } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

Deno.test("OidcProvider: a device flow, a refresh and a revocation at a real provider", async () => {
  await using world = await oidcProviderWorld();
  const { provider } = providerOf(world);
  const device = await authorizeDevice(provider);
  assertEquals(device.interval, 5);
  await world.provider.approve(device.code.userCode);
  const first = await pollDevice(provider, device);
  const { tokens: second } = await refreshTokens(provider, { refreshToken: first.refreshToken! });
  assert(second !== undefined);
  assert(second.refreshToken !== first.refreshToken);
  assert(await world.provider.isActive(second.accessToken));
  assertEquals(await provider.revoke(second.refreshToken!, "refresh_token"), true);
  assertEquals(await world.provider.isActive(second.accessToken), false);
  assertEquals(paths(world.provider.requests), [
    "/.well-known/openid-configuration",
    "/device/auth",
    "/token",
    "/jwks",
    "/token",
    "/jwks",
    "/token/revocation",
  ]);
  const { form } = world.provider.requests.at(-1)!;
  assertEquals(form.token_type_hint, "refresh_token");
  assertEquals(form.token, await sha256Hex(second.refreshToken!));
});

Deno.test("OidcProvider: no discovery document is a wrong issuer", async () => {
  await using world = await scriptedProviderWorld();
  world.provider.script.discovery.push(
    () => new Response("Not found", { status: 404 }),
    () => oauthError("invalid_tenant"), // Microsoft Entra
  );
  const { provider } = providerOf(world);
  for (let time = 0; time < 2; time++) {
    const run = () => authorizeDevice(provider);
    await rejectsWith("provider_invalid", run, world.provider.issuer, "Check the issuer");
  }
});

Deno.test("OidcProvider: the other issuer is told, and what to give at Entra", async () => {
  const issuer = "https://login.microsoftonline.com/contoso.com/v2.0";
  const stated = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0";
  await using world = await scriptedProviderWorld({ issuer, discovery: { issuer: stated } });
  const { provider } = providerOf(world, { fetch: world.provider.fetch });
  const words = [stated, "https://login.microsoftonline.com/<tenant id>/v2.0"];
  await rejectsWith("provider_invalid", () => authorizeDevice(provider), ...words);
});

Deno.test("OidcProvider: a discovery that failed is asked again, one that worked is not", async () => {
  await using world = await scriptedProviderWorld();
  world.provider.script.discovery.push(() => new Response("busy", { status: 503 }));
  const { provider } = providerOf(world);
  await rejectsWith("provider_unavailable", () => authorizeDevice(provider), "503");
  await authorizeDevice(provider);
  await authorizeDevice(provider);
  const discoveries = paths(world.provider.requests).filter((path) => path.startsWith("/.well"));
  assertEquals(discoveries.length, 2);
});

Deno.test("OidcProvider: without a device endpoint there is no device flow", async () => {
  await using world = await scriptedProviderWorld();
  world.provider.discovery = { device_authorization_endpoint: undefined };
  const { provider } = providerOf(world);
  const words = [world.provider.issuer, "no device flow"];
  await rejectsWith("device_flow_unsupported", () => authorizeDevice(provider), ...words);
});

Deno.test("OidcProvider: a refusal tells code, words and issuer, and carries no answer", async () => {
  await using world = await scriptedProviderWorld();
  const headers = { "www-authenticate": "Basic" };
  world.provider.script.device.push(() => oauthError("invalid_client", 401, headers));
  const { provider } = providerOf(world);
  const error = await rejectsWith(
    "provider_refused",
    () => authorizeDevice(provider),
    `${world.provider.issuer}: the provider answered invalid_client (scripted: invalid_client)`,
  );
  assertEquals([error.oauthError, error.cause], ["invalid_client", undefined]);
});

Deno.test("OidcProvider: an unknown client at a real provider", async () => {
  await using world = await oidcProviderWorld();
  const unknown = { ...world, provider: Object.create(world.provider) };
  Object.defineProperty(unknown.provider, "clientId", { value: "nobody" });
  const { provider } = providerOf(unknown);
  const error = await rejectsWith("provider_refused", () => authorizeDevice(provider), "clientId");
  assertEquals(error.oauthError, "invalid_client");
});

const BROKEN: [what: string, answer: Record<string, unknown>][] = [
  ["no access token", { access_token: undefined }],
  ["an access token that is no string", { access_token: 5 }],
  ["a refresh token that is no string", { refresh_token: { a: 1 } }],
  ["a token type that is not Bearer", { token_type: "mac" }],
];

for (const [what, overrides] of BROKEN) {
  Deno.test(`OidcProvider: tokens with ${what} are refused, and none is shown`, async () => {
    await using world = await scriptedProviderWorld();
    const { provider } = providerOf(world);
    const device = await authorizeDevice(provider);
    const secrets = ["secret-access", "secret-refresh", device.deviceCode];
    world.provider.script.token.push(() =>
      world.provider.tokens({
        access_token: "secret-access",
        refresh_token: "secret-refresh",
        ...overrides,
      })
    );
    const error = await rejectsWith("provider_invalid", () => pollDevice(provider, device));
    assertEquals(error.cause, undefined);
    assertNoSecret(error, secrets);
  });
}

Deno.test("OidcProvider: a device answer without a code is refused", async () => {
  for (const name of ["device_code", "user_code", "verification_uri"]) {
    await using world = await scriptedProviderWorld();
    world.provider.script.device.push(() => world.provider.device({ [name]: undefined }));
    const { provider } = providerOf(world);
    const error = await rejectsWith("provider_invalid", () => authorizeDevice(provider));
    assertEquals(error.cause, undefined);
  }
});

Deno.test("OidcProvider: no revocation endpoint is told apart", async () => {
  await using world = await oidcProviderWorld({ revocation: false });
  const { provider } = providerOf(world);
  assertEquals(await provider.revoke("token", "access_token"), false);
});

Deno.test("OidcProvider: a revocation that fails is an error without the token", async () => {
  await using world = await scriptedProviderWorld();
  world.provider.script.revocation.push(
    () => oauthError("unsupported_token_type"),
    () => new Response("busy", { status: 503 }),
    () => resetConnection(),
    () => json({ detail: "no" }, 403),
  );
  const { provider } = providerOf(world);
  for (
    const code of [
      "provider_refused",
      "provider_unavailable",
      "provider_unavailable",
      "provider_unavailable",
    ] as const
  ) {
    const error = await rejectsWith(
      code,
      () => provider.revoke("secret-token", "access_token"),
    );
    assertNoSecret(error, ["secret-token"]);
  }
});
