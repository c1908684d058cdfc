import { assertEquals } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { oauthError } from "../../support/scripted_provider.ts";
import { paths } from "../../support/request_log.ts";
import { scriptedProviderWorld, test } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

test("provider: no discovery document is a wrong issuer", async (world) => {
  const answers = [
    () => new Response("Not found", { status: 404 }),
    () => oauthError("invalid_tenant"), // Microsoft Entra
  ];
  for (const answer of answers) {
    world.provider.script.discovery.push(answer);
    const run = () => createSession(world.options);
    await rejectsWith("provider_invalid", run, world.provider.issuer, "Check the issuer");
  }
});

Deno.test("provider: the other issuer is told, and what to give at Entra", async () => {
  const issuer = "https://login.microsoftonline.com/contoso.com/v2.0";
  const stated = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0";
  await using world = await scriptedProviderWorld({ issuer, discovery: { issuer: stated } });
  const words = [stated, "https://login.microsoftonline.com/<tenant id>/v2.0"];
  const run = () => createSession({ ...world.options, fetch: world.provider.fetch });
  await rejectsWith("provider_invalid", run, ...words);
});

test.signedIn("provider: a session's discovery that failed is asked again, one that worked is not", async ({ session, ...world }) => {
  const forced = () => session.accessToken({ forceRefresh: true });
  const started = await createSession({ ...world.options, interactive: false });
  world.provider.reset();
  world.provider.script.discovery.push(() => new Response("busy", { status: 503 }));
  const run = () => started.accessToken({ forceRefresh: true });
  await rejectsWith("provider_unavailable", run, "503");
  await run();
  await run();
  await forced();
  const discoveries = paths(world.provider.requests).filter((path) => path.startsWith("/.well"));
  assertEquals(discoveries.length, 2);
});

test("provider: without a device endpoint there is no device flow", async (world) => {
  world.provider.discovery = { device_authorization_endpoint: undefined };
  const run = () => createSession({ ...world.options, flow: "device" });
  await rejectsWith("device_flow_unsupported", run, world.provider.issuer, "no device flow");
});

test("provider: a refusal tells code, words and issuer, and carries no answer", async (world) => {
  const headers = { "www-authenticate": "Basic" };
  world.provider.script.device.push(() => oauthError("invalid_client", 401, headers));
  const words = "the provider answered invalid_client (scripted: invalid_client)";
  const run = () => createSession(world.options);
  const error = await rejectsWith("provider_refused", run, `${world.provider.issuer}: ${words}`);
  assertEquals([error.oauthError, error.cause], ["invalid_client", undefined]);
});

const BROKEN: Record<string, unknown>[] = [
  { access_token: undefined },
  { access_token: 5 },
  { refresh_token: { a: 1 } },
  { token_type: "mac" },
];

test("provider: an answer that lacks what it must have is refused, and not shown", async (world) => {
  const { provider } = world;
  const tokens = { access_token: "secret-access", refresh_token: "secret-refresh" };
  const refused = async (word: string) => {
    const run = () => createSession(world.options);
    const error = await rejectsWith("provider_invalid", run, word);
    assertEquals(error.cause, undefined);
    assertNoSecret(error, Object.values(tokens));
  };
  for (const broken of BROKEN) {
    provider.script.token.push(() => provider.tokens({ ...tokens, ...broken }));
    await refused("protocol");
  }
  for (const name of ["device_code", "user_code", "verification_uri"]) {
    provider.script.device.push(() => provider.device({ [name]: undefined }));
    await refused("");
  }
});
