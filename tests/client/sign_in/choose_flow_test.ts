import { assertEquals } from "@std/assert";
import type { AuthEventDetail } from "../../../client/auth_event.ts";
import type { SignInFlow } from "../../../client/session_options.ts";
import { chosenFlow } from "../../../client/sign_in/choose_flow.ts";
import { flowContext } from "../../support/flow_context.ts";
import { providerOf } from "../../support/provider_of.ts";
import { type ProviderWorld, scriptedProviderWorld } from "../../support/provider_world.ts";
import { json } from "../../support/http_server.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { paths } from "../../support/request_log.ts";
import { oauthError, type ScriptedProvider } from "../../support/scripted_provider.ts";

function signIn(world: ProviderWorld<ScriptedProvider>, flow?: SignInFlow) {
  const events: AuthEventDetail[] = [];
  const { provider, runtime } = providerOf(world, { emit: (event) => events.push(event) });
  const context = flowContext(runtime, world.options.onDeviceCode!);
  const tokens = chosenFlow(flow)(provider, { ...context, ask: { ...context.ask, flow } });
  return { tokens, events };
}

for (const flow of [undefined, "auto", "device"] as const) {
  Deno.test(`flow: ${flow} is the device flow where the provider has it`, async () => {
    await using world = await scriptedProviderWorld();
    await signIn(world, flow).tokens;
    assertEquals(world.codes.length, 1);
    assertEquals(paths(world.provider.requests).includes("/device"), true);
  });
}

for (const error of ["unauthorized_client", "unsupported_grant_type"]) {
  Deno.test(`flow: device never turns to the browser, even after ${error}`, async () => {
    await using world = await scriptedProviderWorld();
    world.provider.script.device.push(() => oauthError(error));
    const { tokens, events } = signIn(world, "device");
    await rejectsWith("provider_refused", () => tokens, error);
    assertEquals(events, []);
  });
}

Deno.test("flow: auto does not turn to the browser where the client's secret is refused", async () => {
  await using world = await scriptedProviderWorld();
  const error_description = "Invalid client or Invalid client credentials"; // of Keycloak
  world.provider.script.device.push(() =>
    json({ error: "unauthorized_client", error_description })
  );
  const { tokens, events } = signIn(world);
  const { message } = await rejectsWith("provider_refused", () => tokens, "clientSecret");
  assertEquals([message.includes("take its place"), events], [false, []]);
});

Deno.test("flow: auto does not turn to the browser after another refusal", async () => {
  await using world = await scriptedProviderWorld();
  world.provider.script.device.push(() => oauthError("invalid_scope"));
  const { tokens, events } = signIn(world);
  await rejectsWith("provider_refused", () => tokens, "invalid_scope");
  assertEquals(events, []);
});
