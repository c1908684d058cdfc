import { assertEquals } from "@std/assert";
import { signInByDevice } from "../../../client/sign_in/device.ts";
import type { ValidMindAuthError } from "../../../client/errors.ts";
import type { DeviceCode } from "../../../client/session_options.ts";
import { json, resetConnection, truncated } from "../../support/http_server.ts";
import { oauthError, type ScriptedProvider } from "../../support/scripted_provider.ts";
import { flowContext } from "../../support/flow_context.ts";
import { paths } from "../../support/request_log.ts";
import { providerOf } from "../../support/provider_of.ts";
import { type ProviderWorld, scriptedProviderWorld } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

interface FlowOptions {
  onDeviceCode?: (code: DeviceCode) => void | Promise<void>;
  timeoutMs?: number;
}

function signIn(
  world: ProviderWorld<ScriptedProvider>,
  { onDeviceCode = world.options.onDeviceCode!, ...rest }: FlowOptions = {},
) {
  const { provider, runtime } = providerOf(world, rest);
  return signInByDevice(provider, flowContext(runtime, onDeviceCode));
}

function polls(world: ProviderWorld<ScriptedProvider>): number {
  return paths(world.provider.requests).filter((path) => path === "/token").length;
}

function html(status: number): Response {
  return new Response("<html>Please sign in to the hotel's network</html>", {
    status,
    headers: { "content-type": "text/html" },
  });
}

Deno.test("device flow faults: polling goes on, with longer waits up to a minute", async () => {
  await using world = await scriptedProviderWorld({ interval: 1 });
  world.provider.script.token.push(
    () => html(502),
    () => resetConnection(),
    () => truncated('{"error":'),
    () => json({ error: "slow down please" }, 429),
    () => html(200),
    () => json({ error: "server_error" }, 500),
    () => new Response(null, { status: 503 }),
  );
  await signIn(world);
  const seconds = [1, 2, 4, 8, 16, 32, 60, 60];
  assertEquals(world.clock.delays, seconds.map((second) => second * 1000));
});

Deno.test("device flow faults: once the provider answers again, the interval is back", async () => {
  await using world = await scriptedProviderWorld({ interval: 3 });
  world.provider.script.token.push(
    () => html(502),
    () => html(502),
    () => oauthError("slow_down"),
    () => html(502),
    () => oauthError("authorization_pending"),
  );
  await signIn(world);
  assertEquals(world.clock.delays, [3000, 6000, 12_000, 8000, 16_000, 8000]);
});

Deno.test("device flow faults: never sooner than the interval, however long that is", async () => {
  await using world = await scriptedProviderWorld({ interval: 90 });
  world.provider.script.token.push(() => html(502), () => html(502));
  await signIn(world);
  assertEquals(world.clock.delays, [90_000, 90_000, 90_000]);
});

Deno.test("device flow faults: Retry-After is honoured", async () => {
  await using world = await scriptedProviderWorld({ interval: 1 });
  const headers = { "retry-after": "7" };
  world.provider.script.token.push(
    () => new Response("busy", { status: 429, headers }),
    () => oauthError("authorization_pending"),
    () => new Response("busy", { status: 503, headers: { "retry-after": "1" } }),
  );
  await signIn(world);
  assertEquals(world.clock.delays, [1000, 7000, 1000, 2000]);
});

Deno.test("device flow faults: an outage until the end is an expired code", async () => {
  await using world = await scriptedProviderWorld({ interval: 5, deviceCodeTtl: 60 });
  for (let poll = 0; poll < 10; poll++) world.provider.script.token.push(() => html(502));
  const error = await rejectsWith("device_code_expired", () => signIn(world), "status 502");
  assertEquals(error.message.includes("nobody approved"), false);
  assertEquals((error.cause as ValidMindAuthError).code, "provider_unavailable");
  assertEquals(world.clock.delays, [5000, 10_000, 20_000, 24_750]); // the last, just before
});

Deno.test("device flow faults: a fault that has passed is not the reason of an expired code", async () => {
  await using world = await scriptedProviderWorld({ interval: 5, deviceCodeTtl: 12 });
  world.provider.autoApprove = false;
  world.provider.script.token.push(() => html(502));
  const error = await rejectsWith("device_code_expired", () => signIn(world), "nobody approved");
  assertEquals(error.cause, undefined);
});

Deno.test("device flow faults: an approval during an outage is found just before the end", async () => {
  await using world = await scriptedProviderWorld({ interval: 5, deviceCodeTtl: 60 });
  for (let poll = 0; poll < 3; poll++) world.provider.script.token.push(() => html(502));
  await signIn(world);
  assertEquals(world.clock.delays, [5000, 10_000, 20_000, 24_750]);
});

Deno.test("device flow faults: the last poll comes just before the end, also sooner than the interval", async () => {
  await using world = await scriptedProviderWorld({ interval: 30, deviceCodeTtl: 70 });
  for (let poll = 0; poll < 3; poll++) world.provider.script.token.push(() => html(502));
  await rejectsWith("device_code_expired", () => signIn(world));
  assertEquals(world.clock.delays, [30_000, 39_750]);
  await using tight = await scriptedProviderWorld({ interval: 30, deviceCodeTtl: 61 });
  for (let poll = 0; poll < 3; poll++) tight.provider.script.token.push(() => html(502));
  await rejectsWith("device_code_expired", () => signIn(tight));
  assertEquals(tight.clock.delays, [30_000, 30_750]);
  await using late = await scriptedProviderWorld({ interval: 30, deviceCodeTtl: 59 });
  for (let poll = 0; poll < 3; poll++) late.provider.script.token.push(() => html(502));
  await rejectsWith("device_code_expired", () => signIn(late));
  assertEquals(late.clock.delays, [30_000, 28_750]);
});

Deno.test("device flow faults: no poll follows a success, whatever fails after it", async () => {
  await using world = await scriptedProviderWorld();
  for (let time = 0; time < 10; time++) world.provider.script.jwks.push(() => html(503));
  await rejectsWith("provider_unavailable", () => signIn(world), "/jwks");
  assertEquals(polls(world), 1);
});

Deno.test("device flow faults: keys that are late by two requests are waited for", async () => {
  await using world = await scriptedProviderWorld();
  world.provider.script.jwks.push(() => html(503), () => html(503));
  const tokens = await signIn(world);
  assertEquals([typeof tokens.idToken, polls(world)], ["string", 1]);
  assertEquals(world.clock.delays, [1000, 500, 1000]);
});

for (const how of ["throws", "rejects"]) {
  Deno.test(`device flow faults: a prompt that ${how} ends it`, async () => {
    await using world = await scriptedProviderWorld();
    world.provider.autoApprove = false;
    const reason = new Error("no display");
    const onDeviceCode = () => {
      if (how === "throws") throw reason;
      return Promise.reject(reason);
    };
    const error = await rejectsWith("prompt_failed", () => signIn(world, { onDeviceCode }));
    assertEquals(error.cause, reason);
    const before = world.clock.delays.length;
    await (await fetch(world.provider.issuer)).text(); // time for a poll that should not be
    assertEquals(world.clock.delays.length, before);
  });
}

Deno.test("device flow faults: a prompt that stays open does not stop the polling", async () => {
  await using world = await scriptedProviderWorld();
  const tokens = await signIn(world, { onDeviceCode: () => new Promise(() => {}) });
  assertEquals(world.provider.isActive(tokens.accessToken), true);
});

Deno.test("device flow faults: a prompt that fails after the success changes nothing", async () => {
  await using world = await scriptedProviderWorld();
  const gate = Promise.withResolvers<void>();
  const tokens = await signIn(world, { onDeviceCode: () => gate.promise });
  gate.reject(new Error("closed too late"));
  assertEquals(world.provider.isActive(tokens.accessToken), true);
});
