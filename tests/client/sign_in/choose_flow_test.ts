import { assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { OwnStreams } from "../../support/own_streams.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";
import { json } from "../../support/http_server.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { oauthError } from "../../support/scripted_provider.ts";

/** The browser flow is offered, too; `sign_in/browser_instead_test.ts` has the turns to it. */
async function flowWorld() {
  const world = await scriptedProviderWorld();
  const { provider } = world;
  provider.discovery = { authorization_endpoint: `${provider.issuer}/authorize` };
  const onAuthorizationUrl = () => {
    throw new Error("the browser was asked");
  };
  return Object.assign(world, { options: { ...world.options, onAuthorizationUrl } });
}

Deno.test("flow: undefined, auto and device are the device flow where the provider has it", async () => {
  for (const flow of [undefined, "auto", "device"] as const) {
    await using world = await flowWorld();
    await createSession({ ...world.options, ...(flow && { flow }) });
    assertEquals(world.codes.length, 1);
  }
});

Deno.test("flow: device never turns to the browser, nor auto after a refusal of another kind", async () => {
  await using world = await flowWorld();
  const { options, provider: { script } } = world;
  for (const error of ["unauthorized_client", "unsupported_grant_type"]) {
    script.device.push(() => oauthError(error));
    const run = () => createSession({ ...options, flow: "device" });
    await rejectsWith("provider_refused", run, error);
  }
  script.device.push(() => oauthError("invalid_scope"));
  const named = { ...options, scope: "openid" };
  await rejectsWith("provider_refused", () => createSession(named), "invalid_scope");
  const error_description = "Invalid client or Invalid client credentials"; // of Keycloak
  script.device.push(() => json({ error: "unauthorized_client", error_description }));
  const run = () => createSession(options);
  const { message } = await rejectsWith("provider_refused", run, "clientSecret");
  assertEquals(message.includes("take its place"), false);
});

Deno.test("flow: a person is told of the scope that is left out, unless the program shows all", async () => {
  for (const isShownByCaller of [false, true]) {
    await using world = await scriptedProviderWorld();
    const { onDeviceCode, ...options } = world.options;
    using streams = new OwnStreams();
    world.provider.script.device.push(() => oauthError("invalid_scope"));
    await createSession({ ...options, ...(isShownByCaller && { onDeviceCode }) });
    assertEquals(streams.written.stderr.includes(" Going on with "), !isShownByCaller);
  }
});
