import type { Runtime } from "../../../client/options/resolve_options.ts";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { delay as realDelay } from "../../../backends/common/promises.ts";
import { signInByDevice } from "../../../client/sign_in/device.ts";
import type { DeviceCode } from "../../../client/session_options.ts";
import { hang } from "../../support/http_server.ts";
import type { TestOidcProvider } from "../../support/oidc_provider.ts";
import { oauthError, type ScriptedProvider } from "../../support/scripted_provider.ts";
import { flowContext } from "../../support/flow_context.ts";
import { providerOf } from "../../support/provider_of.ts";
import {
  oidcProviderWorld,
  type ProviderWorld,
  scriptedProviderWorld,
} from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

type FlowOptions = Partial<Runtime> & {
  scope?: string;
  audience?: string;
  signal?: AbortSignal;
  onDeviceCode?: (code: DeviceCode) => void | Promise<void>;
};

function signIn(
  world: ProviderWorld<ScriptedProvider | TestOidcProvider>,
  { signal, onDeviceCode = world.options.onDeviceCode!, ...rest }: FlowOptions = {},
) {
  const { provider, runtime } = providerOf(world, rest);
  return signInByDevice(provider, flowContext(runtime, onDeviceCode, signal));
}

function polls(world: ProviderWorld<ScriptedProvider | TestOidcProvider>): number {
  return world.provider.requests.filter(({ path }) => path === "/token").length;
}

Deno.test("device flow: polls until the person approves, at a real provider", async () => {
  await using world = await oidcProviderWorld();
  world.clock.onDelay = async (count) => {
    if (count === 3) await world.provider.approve(world.codes[0]!.userCode);
  };
  const tokens = await signIn(world);
  assertEquals(world.clock.delays, [5000, 5000, 5000]); // the provider sends no interval
  assertEquals(world.provider.requests.map(({ status }) => status).slice(1, 5), [
    200, // device code
    400, // pending
    400,
    200,
  ]);
  assert(await world.provider.isActive(tokens.accessToken));
  assert(await world.provider.isActive(tokens.refreshToken!));
  assertEquals(tokens.expiresIn, 3600);
});

Deno.test("device flow: shows page, code, end and issuer", async () => {
  await using world = await scriptedProviderWorld();
  const start = world.clock.now();
  await signIn(world);
  const { issuer } = world.provider;
  assertEquals(world.codes, [{
    verificationUri: `${issuer}/activate`,
    userCode: "WDJB-MJHT",
    verificationUriComplete: `${issuer}/activate?user_code=WDJB-MJHT`,
    expiresAt: new Date(start + 600_000),
    issuer,
  }]);
});

Deno.test("device flow: no complete page is fine", async () => {
  await using world = await scriptedProviderWorld();
  world.provider.script.device.push(() =>
    world.provider.device({ verification_uri_complete: undefined })
  );
  await signIn(world);
  assertEquals("verificationUriComplete" in world.codes[0]!, false);
});

Deno.test("device flow: slow_down adds five seconds for good", async () => {
  await using world = await scriptedProviderWorld({ interval: 2 });
  world.provider.script.token.push(
    () => oauthError("authorization_pending"),
    () => oauthError("slow_down"),
    () => oauthError("authorization_pending"),
    () => oauthError("slow_down", 429),
    () => oauthError("authorization_pending"),
  );
  await signIn(world);
  assertEquals(world.clock.delays, [2000, 2000, 7000, 7000, 12_000, 12_000]);
});

Deno.test("device flow: a slow_down with Retry-After waits as long as it says, once", async () => {
  await using world = await scriptedProviderWorld({ interval: 2 });
  world.provider.script.token.push(
    () => oauthError("slow_down", 400, { "retry-after": "30" }),
    () => oauthError("authorization_pending"),
  );
  await signIn(world);
  assertEquals(world.clock.delays, [2000, 30_000, 7000]);
});

Deno.test("device flow: no lifetime means 900 seconds", async () => {
  await using world = await scriptedProviderWorld();
  const { script, device } = world.provider;
  script.device.push(() => device.call(world.provider, { expires_in: undefined, interval: "100" }));
  world.provider.autoApprove = false;
  await rejectsWith("device_code_expired", () => signIn(world));
  assertEquals(world.clock.delays, [...Array(8).fill(100_000), 99_750]);
});

Deno.test("device flow: denied at a real provider", async () => {
  await using world = await oidcProviderWorld();
  world.clock.onDelay = () => world.provider.approve(world.codes[0]!.userCode, { deny: true });
  const error = await rejectsWith("device_code_denied", () => signIn(world), world.provider.issuer);
  assertEquals(error.oauthError, "access_denied");
  assertEquals(polls(world), 1);
});

Deno.test("device flow: the provider says that the code has expired", async () => {
  await using world = await oidcProviderWorld();
  world.clock.onDelay = () => world.provider.expireDeviceCodes();
  const error = await rejectsWith("device_code_expired", () => signIn(world));
  assertEquals([error.oauthError, polls(world)], ["expired_token", 1]);
});

Deno.test("device flow: other refusals end it at once", async () => {
  await using world = await scriptedProviderWorld();
  world.provider.script.token.push(() => oauthError("invalid_client", 401));
  const error = await rejectsWith("provider_refused", () => signIn(world), "clientId");
  assertEquals([error.oauthError, polls(world)], ["invalid_client", 1]);
});

Deno.test("device flow: audience goes on the device and the token request", async () => {
  await using world = await oidcProviderWorld({ jwtAccessTokens: true });
  await signIn(world, { audience: "my api" });
  const [, device, poll] = world.provider.requests;
  assertEquals([device?.path, device?.form.audience], ["/device/auth", "my api"]);
  assertEquals([poll?.path, poll?.form.audience], ["/token", "my api"]);
});

Deno.test("device flow: the scope that is asked for goes on the device request", async () => {
  await using world = await scriptedProviderWorld();
  await signIn(world, { scope: "openid a b" });
  const [, device, poll] = world.provider.requests;
  assertEquals([device?.form.scope, device?.form.client_id], ["openid a b", "validmind-test"]);
  assertEquals(["audience" in device!.form, "audience" in poll!.form], [false, false]);
});

Deno.test("device flow: the signal ends the wait for a poll with its reason", async () => {
  await using world = await scriptedProviderWorld({ interval: 60 });
  const controller = new AbortController();
  const reason = new Error("enough");
  const onDeviceCode = () => controller.abort(reason);
  const run = () => signIn(world, { signal: controller.signal, delay: realDelay, onDeviceCode });
  assertEquals(await assertRejects(run), reason);
  assertEquals(polls(world), 0);
});

Deno.test("device flow: the signal ends a poll that hangs", async () => {
  await using world = await scriptedProviderWorld();
  const controller = new AbortController();
  const reason = new Error("enough");
  world.provider.script.token.push((request) => {
    controller.abort(reason);
    return hang(request);
  });
  assertEquals(await assertRejects(() => signIn(world, { signal: controller.signal })), reason);
  assertEquals(polls(world), 1);
});

Deno.test("device flow: the signal ends discovery and the device request", async () => {
  for (const endpoint of ["discovery", "device"] as const) {
    await using world = await scriptedProviderWorld();
    const controller = new AbortController();
    const reason = new Error("enough");
    world.provider.script[endpoint].push((request) => {
      controller.abort(reason);
      return hang(request);
    });
    assertEquals(await assertRejects(() => signIn(world, { signal: controller.signal })), reason);
    assertEquals(world.codes, []);
  }
});

Deno.test("device flow: a code is used to its end", async () => {
  await using world = await scriptedProviderWorld({ interval: 5, deviceCodeTtl: 12 });
  world.provider.script.token.push(
    () => oauthError("authorization_pending"),
    () => oauthError("authorization_pending"),
    () => world.provider.tokens(),
  );
  await signIn(world);
  assertEquals(world.clock.delays, [5000, 5000, 1750]);
});

Deno.test("device flow: a jump of the wall clock does not end a code", async () => {
  await using world = await scriptedProviderWorld({ interval: 5, deviceCodeTtl: 600 });
  let jumpMs = 0;
  world.clock.onDelay = () => {
    jumpMs = 11 * 60_000;
  };
  world.provider.script.token.push(() => oauthError("authorization_pending"));
  const now = () => world.clock.now() + jumpMs;
  await signIn(world, { now, elapsed: world.clock.now });
  assertEquals(world.clock.delays, [5000, 5000]);
});
