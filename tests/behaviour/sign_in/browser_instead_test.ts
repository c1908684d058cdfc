// The device flow is switched off, for everybody or for this client: the browser takes its place.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { createSession } from "../../../mod.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { browserOptions, startBrowserFlow } from "../../support/browser_flow.ts";
import { oauthError } from "../../support/scripted_provider.ts";
import { oidcProviderWorld, scriptedProviderWorld, test } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

Deno.test("browser instead: auto signs in where the provider offers no device flow", async () => {
  await using world = await oidcProviderWorld({
    configure(config) {
      config.features!.deviceFlow = { enabled: false };
      config.clients![0]!.grant_types = ["authorization_code", "refresh_token"];
    },
  });
  const events: { type: string }[] = [];
  const { prompt, session } = await startBrowserFlow(world, {
    flow: "auto",
    onDeviceCode() {}, // which a caller may give beside the other one
    onEvent: (event) => void events.push(event),
  });
  assertEquals((await world.provider.follow(prompt.url)).title, "Your answer has arrived");
  await (await session).close();
  const types = [
    "sign_in_started",
    "flow_changed",
    "link_shown",
    "sign_in_approved",
    "stored",
    "signed_in",
  ];
  const told = events.map(({ type }) => type).filter((type) => type !== "provider_answered");
  assertEquals(told, types);
  assertNoSecret(events);
});

for (const error of ["unauthorized_client", "unsupported_grant_type", "401 without a word"]) {
  test(`browser instead: auto shows the link where ${error} refuses this client`, async (world) => {
    const { provider } = world;
    provider.discovery = { authorization_endpoint: `${provider.issuer}/authorize` };
    const isSilent = error.startsWith("401");
    provider.script.device.push(() =>
      isSilent ? new Response(null, { status: 401 }) : oauthError(error)
    );
    const stop = new AbortController();
    const { prompt, session } = await startBrowserFlow(world, {
      flow: "auto",
      signal: stop.signal,
    });
    assertStringIncludes(prompt.url, "/authorize?");
    stop.abort(new Error("enough"));
    assertEquals((await session.catch((error) => error)).message, "enough");
  });
}

Deno.test("browser instead: words never change the flow, and name it", async () => {
  await using world = await oidcProviderWorld({
    configure(config) {
      config.clients![0]!.grant_types = ["authorization_code", "refresh_token"];
    },
  });
  const run = () => startBrowserFlow(world, { flow: "auto" });
  const error = await rejectsWith("provider_refused", run, 'flow: "browser"');
  assertEquals(error.oauthError, "invalid_request");
});

Deno.test("browser instead: a caller that shows codes only keeps the first error", async () => {
  await using world = await scriptedProviderWorld({
    discovery: { device_authorization_endpoint: undefined },
  });
  const { flow: _, ...options } = browserOptions(world);
  const run = () => createSession({ ...options, onDeviceCode: () => {} });
  await rejectsWith("device_flow_unsupported", run, "onAuthorizationUrl");
});
