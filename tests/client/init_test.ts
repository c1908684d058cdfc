import { assert, assertEquals, assertStrictEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { createSession } from "../../client/create_session.ts";
import { ApiError } from "../../client/errors.ts";
import { getSession, init, reload } from "../../client/init.ts";
import { peekActiveSession, setActiveSession } from "../../client/signed_in/session.ts";
import { json } from "../support/http_server.ts";
import { runDeno } from "../support/deno_process.ts";
import { sha256Hex } from "../support/sha256_hex.ts";
import { tempDir, withTempHome } from "../support/temp_home.ts";
import { paths } from "../support/request_log.ts";
import { oidcProviderWorld, scriptedProviderWorld } from "../support/provider_world.ts";
import { rejectsWith } from "../support/rejects_with.ts";

import config from "../../deno.json" with { type: "json" };

const MOD = new URL("../../mod.ts", import.meta.url).href;
const MODEL = { model: "cl-1" };

Deno.test("init: asks the person, pings with the bearer, and gives the session", async () => {
  await using world = await oidcProviderWorld();
  world.clock.onDelay = async (count) => {
    if (count === 3) await world.provider.approve(world.codes[0]!.userCode);
  };
  const session = await init({ ...world.options, ...MODEL });
  const polls = world.provider.requests.filter(({ path }) => path === "/token");
  assertEquals(polls.map(({ status }) => status), [400, 400, 200]);
  assertEquals(paths(world.api.requests), ["/api/v1/tracking/ping"]);
  const { headers } = world.api.requests[0]!;
  const token = world.stored().access_token;
  assertEquals(headers.authorization, `Bearer ${await sha256Hex(token)}`);
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

Deno.test("init: monitoring and document are sent when they are given", async () => {
  await using world = await oidcProviderWorld();
  await init({ ...world.options, ...MODEL, monitoring: true, document: "validation_report" });
  const { headers } = world.api.requests[0]!;
  assertEquals(headers["x-monitoring"], "True");
  assertEquals(headers["x-document-type"], "validation_report");
});

Deno.test("init: an API that answers the ping with less still gives an info", async () => {
  await using world = await oidcProviderWorld();
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

Deno.test("init: an API that refuses the ping fails it, and the tokens stay stored", async () => {
  await using world = await oidcProviderWorld();
  world.api.script.push(() => json({ code: "unknown_model" }, 404));
  const error = await rejectsWith("api_error", () => init({ ...world.options, ...MODEL }), "404");
  assertEquals([error instanceof ApiError, (error as ApiError).status], [true, 404]);
  assert(await world.provider.isActive(world.stored().access_token));
  await rejectsWith("no_active_session", () => getSession());
});

Deno.test("init: an aborted signal ends it before anything happens", async () => {
  await using world = await oidcProviderWorld();
  const reason = new Error("enough");
  const options = { ...world.options, ...MODEL, signal: AbortSignal.abort(reason) };
  assertEquals(await init(options).catch((error) => error), reason);
  assertEquals([world.provider.requests, world.api.requests], [[], []]);
});

Deno.test("init: another process starts from the file with nothing but the API's host", async () => {
  await using world = await oidcProviderWorld();
  await using dir = await tempDir();
  const path = `${dir.path}/credentials.json`;
  const credentialsBackend = new FileCredentialsBackend({ path });
  await init({ ...world.options, ...MODEL, credentialsBackend });
  world.provider.reset();
  world.api.reset();
  const code = `
    import * as vm from ${JSON.stringify(MOD)};
    const { issuer, clientId, apiHost, path } = JSON.parse(Deno.args[0]);
    const session = await vm.init({ issuer, clientId, apiHost, model: "cl-1",
      credentialsBackend: new vm.FileCredentialsBackend({ path }) });
    console.log((await session.status()).email);
  `;
  const { issuer, clientId } = world.provider;
  const { apiHost } = world.options;
  const result = await runDeno({
    code,
    args: [JSON.stringify({ issuer, clientId, apiHost, path })],
    flags: [`--allow-net=${new URL(apiHost!).host}`, `--allow-read=${dir.path}`],
  });
  assertEquals(result, { code: 0, stdout: "analyst@example.com\n", stderr: "" });
  assertEquals([world.provider.requests, paths(world.api.requests)], [
    [],
    ["/api/v1/tracking/ping"],
  ]);
});

Deno.test("init: a start from a stored token does not load oauth4webapi", async () => {
  await using world = await oidcProviderWorld();
  const session = await init({ ...world.options, ...MODEL });
  const entry = JSON.stringify(world.stored());
  const code = `
    import * as vm from ${JSON.stringify(MOD)};
    const { entry, ...options } = JSON.parse(Deno.args[0]);
    const credentialsBackend = new vm.MemoryCredentialsBackend();
    credentialsBackend.put(vm.credentialKey(options.issuer, options.clientId), JSON.parse(entry));
    const session = await vm.init({ ...options, model: "cl-1", credentialsBackend });
    await session.accessToken({ forceRefresh: Deno.args[1] === "refresh" });
  `;
  const { issuer, clientId, apiHost } = session;
  const args = [JSON.stringify({ entry, issuer, clientId, apiHost })];
  const flags = ["--allow-net=127.0.0.1", "--no-npm"];
  const plain = await runDeno({ code, args, flags });
  assertEquals(plain, { code: 0, stdout: "", stderr: "" });
  // The same with a refresh shows that the first would have told.
  const refreshing = await runDeno({ code, args: [...args, "refresh"], flags });
  assertEquals(refreshing.code, 1);
  assertStringIncludes(refreshing.stderr, "npm specifiers were requested");
});

Deno.test("init: in memory only, by VM_OIDC_NO_PERSIST: no file, and kept in the process", async () => {
  await using world = await oidcProviderWorld();
  await withTempHome(async (home) => {
    Deno.env.set("VM_OIDC_NO_PERSIST", "1");
    const { credentialsBackend: _, ...options } = world.options;
    const first = await init({ ...options, ...MODEL });
    assertEquals([...Deno.readDirSync(home)], []);
    assertEquals((await first.status()).backend?.persistent, false);
    await init({ ...options, ...MODEL });
    assertEquals(world.codes.length, 1);
    await first.clear();
  });
});

Deno.test("init: without a choice the file in the home directory is used", async () => {
  await using world = await oidcProviderWorld();
  await withTempHome(async (home) => {
    const { credentialsBackend: _, ...options } = world.options;
    const session = await init({ ...options, ...MODEL });
    const path = join(home, ".validmind", "credentials.json");
    assertEquals((await session.status()).backend?.location, path);
    const { credentials } = JSON.parse(await Deno.readTextFile(path));
    assertEquals(Object.keys(credentials), [world.key]);
    assertEquals(credentials[world.key].access_token, await session.accessToken());
  });
});

Deno.test("init: all from the environment", async () => {
  await using world = await oidcProviderWorld();
  await withTempHome(async () => {
    const { issuer: _1, clientId: _2, apiHost: _3, ...options } = world.options;
    Deno.env.set("VM_OIDC_ISSUER", `"${world.provider.issuer}/"`);
    Deno.env.set("VM_OIDC_CLIENT_ID", world.provider.clientId);
    Deno.env.set("VM_OIDC_SCOPE", "openid offline_access");
    Deno.env.set("VM_API_HOST", world.api.apiHost.replace(/\/$/, ""));
    Deno.env.set("VM_API_MODEL", "cl-env");
    const session = await init(options);
    assertEquals([session.model, session.apiHost], ["cl-env", world.api.apiHost]);
    assertEquals(world.stored().scope, "openid offline_access");
    assertEquals(world.api.requests[0]?.headers["x-model-cuid"], "cl-env");
  });
});

Deno.test("getSession and reload: no_active_session before init", async () => {
  setActiveSession(undefined);
  await rejectsWith("no_active_session", () => getSession(), "init()");
  await rejectsWith("no_active_session", () => reload(), "init()");
  assertEquals(peekActiveSession(), undefined);
});

Deno.test("getSession: the session of the last init; createSession does not count", async () => {
  await using world = await scriptedProviderWorld();
  await createSession(world.options);
  assertEquals(peekActiveSession(), undefined);
  const first = await init({ ...world.options, model: "a" });
  assertStrictEquals(getSession(), first);
  const second = await init({ ...world.options, model: "b" });
  assertStrictEquals(getSession(), second);
  await createSession(world.options);
  assertStrictEquals(getSession(), second);
});

Deno.test("reload: pings again and renews the info", async () => {
  await using world = await scriptedProviderWorld();
  const session = await init({ ...world.options, model: "a" });
  world.api.script.push(() => json({ model: { name: "Renamed" }, document_type: "report" }));
  const info = await reload();
  assertEquals([info.model.name, info.documentType], ["Renamed", "report"]);
  assertStrictEquals(session.info, info);
  assertEquals(world.api.requests.length, 2);
});

Deno.test("reload: a closed session cannot", async () => {
  await using world = await scriptedProviderWorld();
  const session = await init({ ...world.options, model: "a" });
  await session.close();
  await rejectsWith("session_closed", () => reload());
});
