import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { startTrackingApi, type TrackingApi } from "../../../support/tracking_api.ts";
import { cliTest, type CliWorld, cliWorld } from "../cli_world.ts";

/** A signed-in person, and an API that takes the token of that person alone. */
async function apiWorld() {
  await using stack = new AsyncDisposableStack();
  const world = stack.use(await cliWorld());
  const api = stack.use(await startTrackingApi({ accepts: (one) => world.provider.isActive(one) }));
  await world.signIn();
  const started = stack.move();
  return { world, api, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

async function call(
  { world, api }: { world: CliWorld; api: TrackingApi },
  args: string[],
  stdin?: string,
) {
  const env = { VM_API_HOST: api.apiHost };
  return await world.run(["api", ...args], { env, ...(stdin !== undefined && { stdin }) });
}

const CALLS: [args: string[], echo: Record<string, unknown>, stdin?: string][] = [
  [["things"], { method: "GET", path: "things", body: "" }],
  [
    ["things", "-f", "name=7", "-F", "size=7", "-F", "on=true", "-F", "list=[1]", "-F", "text=a=b"],
    { method: "POST", body: { name: "7", size: 7, on: true, list: [1], text: "a=b" } },
  ],
  [["things?a=1", "-X", "GET", "-f", "b=c d"], { method: "GET", query: { a: "1", b: "c d" } }],
  [["things/7", "-X", "put", "--input", "-"], { method: "PUT", body: { a: 1 } }, '{"a": 1}'],
  [["things", "--input", "body.json", "-f", "a=b"], { body: { of: "file" }, query: { a: "b" } }],
  [["things", "-F", "note=@body.json"], { body: { note: '{"of": "file"}' } }],
  [["things", "-X", "DELETE"], { method: "DELETE" }],
];

Deno.test("api: the request is the one that is meant", async () => {
  await using running = await apiWorld();
  const file = `${running.world.home}/body.json`;
  await Deno.writeTextFile(file, '{"of": "file"}');
  for (const [args, echo, stdin] of CALLS) {
    const given = args.map((arg) => arg.replace("@body.json", `@${file}`));
    const { code, stdout, stderr } = await call(running, given, stdin);
    assertEquals([code, stderr], [0, ""]);
    const answer = JSON.parse(stdout);
    for (const [name, value] of Object.entries(echo)) assertEquals(answer[name], value, name);
  }
});

Deno.test("api: a header of the caller is sent, and none takes the token's place", async () => {
  await using running = await apiWorld();
  const headers = ["-H", "X-Trace: a: b", "-H", "Authorization: Bearer other"];
  const { code, stderr } = await call(running, ["things", ...headers]);
  assertEquals([code, stderr], [0, ""]);
  assertEquals(running.api.requests.at(-1)!.headers["x-trace"], "a: b");
});

Deno.test("api: an answer with another status is printed, and the exit code is 1", async () => {
  await using running = await apiWorld();
  const { code, stdout, stderr } = await call(running, ["error?status=503"]);
  assertEquals(code, 1);
  assertStringIncludes(stdout, "<html>");
  assertStringIncludes(
    stderr,
    "error (api_error): Cannot GET error?status=503: the API answered 503",
  );
});

Deno.test("api: bytes are printed as they come", async () => {
  await using running = await apiWorld();
  const bytes = new TextEncoder().encode("a\u0000\u001b[31m\n");
  running.api.script.push(() => new Response(bytes));
  assertEquals((await call(running, ["things"])).stdout, "a\u0000\u001b[31m\n");
});

cliTest("api: an API key signs in, too", async (world) => {
  await using api = await startTrackingApi();
  const env = {
    VM_OIDC_ISSUER: "",
    VM_OIDC_CLIENT_ID: "",
    VM_API_KEY: "test-api-key",
    VM_API_SECRET: "test-api-secret",
  };
  const { code, stdout, stderr } = await world.run(["api", "ping", "--api-host", api.apiHost], {
    env,
  });
  assertEquals([code, stderr], [0, ""]);
  assertEquals(JSON.parse(stdout).model.cuid, "model-under-test");
});

Deno.test("api: the settings file names provider, client and API", async () => {
  await using running = await apiWorld();
  const { issuer, clientId } = running.world.provider;
  const settings = ["issuer", issuer, "client-id", clientId, "api-host", running.api.apiHost];
  const env = { VM_OIDC_ISSUER: "", VM_OIDC_CLIENT_ID: "" };
  assertEquals((await running.world.run(["config", "set", ...settings], { env })).code, 0);
  const { code, stderr } = await running.world.run(["api", "things"], { env });
  assertEquals([code, stderr], [0, ""]);
});

Deno.test("api: without a sign-in the exit code is 4, and nothing is sent", async () => {
  await using running = await apiWorld();
  await running.world.run(["logout"]);
  assertEquals((await call(running, ["ping"])).code, 4);
  assertEquals(running.api.requests, []);
});

const REFUSED: [args: string[], words: string][] = [
  [[], "it takes one path"],
  [["a", "b"], "it takes one path"],
  [["a", "-f", "b"], "Give it as NAME=VALUE"],
  [["a", "-H", "b"], "Give it as NAME:VALUE"],
  [["a", "-H", "b\u00e9: c"], "it is not a header"],
  [["a", "--input", "absent.json"], "Cannot read absent.json"],
];

Deno.test("api: a command that is not one request is refused before anything is sent", async () => {
  await using running = await apiWorld();
  for (const [args, words] of REFUSED) {
    const { code, stdout, stderr } = await call(running, args);
    assertEquals([code, stdout], [2, ""]);
    assertStringIncludes(stderr, words);
  }
  assertEquals(running.api.requests, []);
});

Deno.test("api: an address is asked for before anybody signs in, and no other origin gets the token", async () => {
  await using running = await apiWorld();
  const none = await running.world.run(["api", "ping", "--login"]);
  assertEquals(none.code, 2);
  assertStringIncludes(none.stderr, "Give --api-host (VM_API_HOST)");
  const other = await call(running, [`${running.api.otherOrigin}/x`]);
  assert(other.stderr.includes("error (wrong_origin)"), other.stderr);
  assertEquals(running.api.otherRequests, []);
});
