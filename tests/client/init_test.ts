import { assert, assertEquals, assertStrictEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { createSession } from "../../client/create_session.ts";
import { ApiError } from "../../client/errors.ts";
import { getSession, init, reload } from "../../client/init.ts";
import { peekActiveSession, setActiveSession } from "../../client/signed_in/session.ts";
import { json } from "../support/http_server.ts";
import { runDeno } from "../support/deno_process.ts";
import { tempDir, withTempHome } from "../support/temp_home.ts";
import { paths } from "../support/request_log.ts";
import { scriptedProviderWorld, test } from "../support/provider_world.ts";
import { rejectsWith } from "../support/rejects_with.ts";

import config from "../../deno.json" with { type: "json" };

const MOD = new URL("../../mod.ts", import.meta.url).href;
const MODEL = { model: "cl-1" };

test.real("init: asks the person, pings with the bearer, and gives the session", async (world) => {
  world.clock.onDelay = async (count) => {
    if (count === 3) await world.provider.approve(world.codes[0]!.userCode);
  };
  const session = await init({ ...world.options, ...MODEL });
  const polls = world.provider.requests.filter(({ path }) => path === "/token");
  assertEquals(polls.map(({ status }) => status), [400, 400, 200]);
  assertEquals(world.clock.delays, [5000, 5000, 5000]); // the provider sends no interval
  assertEquals(paths(world.api.requests), ["/api/v1/tracking/ping"]);
  const { headers } = world.api.requests[0]!;
  const token = world.stored().access_token;
  assertEquals(headers.authorization, `Bearer ${token}`);
  assertEquals(headers["x-model-cuid"], "cl-1");
  assertEquals(headers["x-monitoring"], "False");
  assertEquals(headers["x-library-version"], config.version);
  assertEquals(["x-document-type" in headers, "x-api-key" in headers], [false, false]);
  assertEquals(session.info, {
    model: { cuid: "model-under-test", name: "Credit Risk Model" },
    featureFlags: { log_figures: true },
    documentationTemplate: { template_name: "Stub template", sections: [] },
    documentType: "model_documentation",
  });
  assertEquals(session.issuer, world.provider.issuer);
  assertEquals([session.clientId, session.model], ["validmind-test", "cl-1"]);
  assertEquals([session.apiHost, session.audience], [world.api.apiHost, undefined]);
  assertStrictEquals(session.backend, world.backend);
  assertStrictEquals(getSession(), session);
});

test.real("init: an API that answers the ping with less still gives an info", async (world) => {
  world.api.script.push(() => json({ model: null, feature_flags: [], document_type: 5 }));
  const { info } = await init({ ...world.options, ...MODEL });
  assertEquals(info, {
    model: {},
    featureFlags: {},
    documentationTemplate: {},
    documentType: "model_documentation",
  });
  world.api.script.push(() => new Response(null, { status: 204 }));
  assertEquals((await init({ ...world.options, ...MODEL })).info, info);
});

test.real("init: an API that refuses the ping fails it, and the tokens stay stored", async (world) => {
  world.api.script.push(() => json({ code: "unknown_model" }, 404));
  const error = await rejectsWith("api_error", () => init({ ...world.options, ...MODEL }), "404");
  assertEquals([error instanceof ApiError, (error as ApiError).status], [true, 404]);
  assert(await world.provider.isActive(world.stored().access_token));
  await rejectsWith("no_active_session", () => getSession());
});

test.real("init: another process starts from the file, with the API's host and no oauth4webapi", async (world) => {
  await using dir = await tempDir();
  const path = `${dir.path}/credentials.json`;
  const credentialsBackend = new FileCredentialsBackend({ path });
  await init({ ...world.options, ...MODEL, credentialsBackend });
  world.provider.reset();
  world.api.reset();
  const code = `
    import * as vm from ${JSON.stringify(MOD)};
    const { path, forceRefresh, ...options } = JSON.parse(Deno.args[0]);
    const credentialsBackend = new vm.FileCredentialsBackend({ path });
    const session = await vm.init({ ...options, model: "cl-1", credentialsBackend });
    console.log((await session.status()).email);
    await session.accessToken({ forceRefresh });
  `;
  const { issuer, clientId } = world.provider;
  const { apiHost } = world.options;
  const run = (forceRefresh: boolean, ...more: string[]) =>
    runDeno({
      code,
      args: [JSON.stringify({ issuer, clientId, apiHost, path, forceRefresh })],
      flags: [
        `--allow-net=${new URL(apiHost!).host}`,
        `--allow-read=${dir.path}`,
        "--no-npm",
        ...more,
      ],
    });
  assertEquals(await run(false), { code: 0, stdout: "analyst@example.com\n", stderr: "" });
  assertEquals(world.provider.requests, []);
  assertEquals(paths(world.api.requests), ["/api/v1/tracking/ping"]);
  // The same with a refresh shows that the first would have told.
  const refreshing = await run(true, `--allow-write=${dir.path}`, "--allow-net");
  assertEquals(refreshing.code, 1);
  assertStringIncludes(refreshing.stderr, "npm specifiers were requested");
});

test("init: without a choice the file in the home directory, and memory by VM_OIDC_NO_PERSIST", async (world) => {
  await withTempHome(async (home) => {
    const { credentialsBackend: _, ...options } = world.options;
    Deno.env.set("VM_OIDC_NO_PERSIST", "1");
    const first = await init({ ...options, ...MODEL });
    await init({ ...options, ...MODEL });
    assertEquals([...Deno.readDirSync(home)], []);
    assertEquals([(await first.status()).backend?.persistent, world.codes.length], [false, 1]);
    await first.clear();
    Deno.env.delete("VM_OIDC_NO_PERSIST");
    const session = await init({ ...options, ...MODEL });
    const path = join(home, ".validmind", "credentials.json");
    assertEquals((await session.status()).backend?.location, path);
    const { credentials } = JSON.parse(await Deno.readTextFile(path));
    assertEquals(credentials[world.key].access_token, await session.accessToken());
  });
});

test.real("init: all from the environment", async (world) => {
  await withTempHome(async () => {
    const { issuer: _1, clientId: _2, apiHost: _3, ...options } = world.options;
    Deno.env.set("VM_OIDC_ISSUER", `"${world.provider.issuer}/"`);
    Deno.env.set("VM_OIDC_CLIENT_ID", world.provider.clientId);
    Deno.env.set("VM_OIDC_SCOPE", "openid offline_access");
    Deno.env.set("VM_API_HOST", world.api.apiHost.replace(/\/$/, ""));
    Deno.env.set("VM_API_MODEL", "cl-env");
    const more = { monitoring: true, document: "validation_report" };
    const aborted = { ...options, signal: AbortSignal.abort("enough") };
    assertEquals(await init(aborted).catch((reason) => reason), "enough");
    assertEquals([world.provider.requests, world.api.requests], [[], []]);
    const session = await init({ ...options, ...more });
    assertEquals([session.model, session.apiHost], ["cl-env", world.api.apiHost]);
    assertEquals(world.stored().scope, "openid offline_access");
    const { headers } = world.api.requests[0]!;
    assertEquals(headers["x-model-cuid"], "cl-env");
    assertEquals(headers["x-monitoring"], "True");
    assertEquals(headers["x-document-type"], "validation_report");
  });
});

Deno.test("getSession and reload: of the last init; createSession does not count", async () => {
  setActiveSession(undefined);
  await rejectsWith("no_active_session", () => getSession(), "init()");
  await rejectsWith("no_active_session", () => reload(), "init()", "sign-out");
  await using world = await scriptedProviderWorld();
  await createSession(world.options);
  assertEquals(peekActiveSession(), undefined);
  const first = await init({ ...world.options, model: "a" });
  assertStrictEquals(getSession(), first);
  const second = await init({ ...world.options, model: "b" });
  await createSession(world.options);
  assertStrictEquals(getSession(), second);
  world.api.reset();
  world.api.script.push(() => json({ model: { name: "Renamed" }, document_type: "report" }));
  const info = await reload(); // pings again
  assertEquals([info.model.name, info.documentType], ["Renamed", "report"]);
  assertStrictEquals(second.info, info);
  assertEquals(paths(world.api.requests), ["/api/v1/tracking/ping"]);
  await second.close();
  await rejectsWith("session_closed", () => reload());
});
