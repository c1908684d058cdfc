import { assert, assertEquals } from "@std/assert";
import { startTrackingApi, type TrackingApi } from "../../../support/tracking_api.ts";
import { BY_KEY, cliTest, type CliWorld, NO_CLIENT, quoted } from "../cli_world.ts";

/** A test with a signed-in person, and an API that takes the token of that person alone. */
function apiTest(name: string, run: (world: CliWorld, api: TrackingApi) => Promise<void>): void {
  cliTest(`api: ${name}`, async (world) => {
    await using api = await startTrackingApi({ accepts: (one) => world.provider.isActive(one) });
    await world.signIn();
    world.env.VM_API_HOST = api.apiHost;
    await run(world, api);
  });
}

const CALLS: [words: string, echo: Record<string, unknown>, stdin?: string][] = [
  ["things", { method: "GET", path: "things", body: "" }],
  ["/things", { method: "GET", path: "things", body: "" }],
  [
    "things -f name=7 -F size=7 -F on=true -F list=[1] -F text=a=b",
    { method: "POST", body: { name: "7", size: 7, on: true, list: [1], text: "a=b" } },
  ],
  ["things?a=1 -X GET -f 'b=c d'", { method: "GET", query: { a: "1", b: "c d" } }],
  ["things -X GET -F 'b={\"c\":1}' -F d=7", { query: { b: '{"c":1}', d: "7" } }],
  ["things/7 -X put --input -", { method: "PUT", body: { a: 1 } }, '{"a": 1}'],
  ["things --input body.json -f a=b", { body: { of: "file" }, query: { a: "b" } }],
  ["things -F note=@FILE", { body: { note: '{"of":"file"}' } }],
  ["things -X DELETE", { method: "DELETE" }],
];

apiTest("the request is the one that is meant", async (world) => {
  const file = await world.write({ of: "file" }, "body.json");
  for (const [words, echo, stdin = ""] of CALLS) {
    const { json, stderr } = await world.says(
      `api ${words.replace("FILE", () => quoted(file))}`,
      0,
      {
        stdin,
      },
    );
    assertEquals(stderr, "");
    for (const [name, value] of Object.entries(echo)) assertEquals(json[name], value, name);
  }
});

apiTest("a header of the caller is sent", async (world, api) => {
  await world.says("api things -H 'X-Trace: a: b'", 0);
  assertEquals(api.requests.at(-1)!.headers["x-trace"], "a: b");
});

apiTest("an answer with another status is printed, and the exit code is 1", async (world, api) => {
  const words = `error (api_error): Cannot GET error?… of ${api.apiHost}: the API answered 503`;
  await world.says("api error?status=503", 1, "<html>", words);
});

apiTest("a sign-in that the provider has ended is told as such", async (world) => {
  world.provider.revokeGrants();
  const words = `login --issuer ${world.env.VM_OIDC_ISSUER}`;
  await world.says("api things", 4, "error (login_required)", words);
});

apiTest("bytes are printed as they come, to the last", async (world, api) => {
  const text = "a\u0000\u001b[31m\n";
  const body = ReadableStream.from(async function* () {
    yield text;
    await new Promise((resolve) => setTimeout(resolve, 50)); // as a slow network brings it
    yield text;
  }());
  api.script.push(() => new Response(body.pipeThrough(new TextEncoderStream())));
  assertEquals((await world.says("api things", 0)).stdout, text + text);
});

apiTest("JSON ends with a line end, and a text is left as it is", async (world, api) => {
  for (const [type, body, end] of [["application/json", "{}", "\n"], ["text/plain", "{}", ""]]) {
    api.script.push(() => new Response(body, { headers: { "content-type": type! } }));
    assertEquals((await world.says("api things", 0)).stdout, `${body}${end}`);
  }
});

apiTest("an answer without an end is left once nobody reads it", async (world, api) => {
  const writeSync = () => {
    throw new Deno.errors.BrokenPipe();
  };
  let sent = 0;
  const body = ReadableStream.from(async function* () {
    for (; sent < 1000; sent++) {
      yield "text";
      await new Promise((resolve) => setTimeout(resolve));
      Object.assign(Deno.stdout, { writeSync });
    }
  }());
  api.script.push(() => new Response(body.pipeThrough(new TextEncoderStream())));
  await world.says("api things", 0);
  assert(sent < 1000);
});

cliTest("api: an API key signs in, too", async (world) => {
  await using api = await startTrackingApi();
  const env = { ...BY_KEY, VM_API_KEY: "test-api-key", VM_API_SECRET: "test-api-secret" };
  const { json } = await world.says(`api ping --api-host ${api.apiHost}`, 0, { env });
  assertEquals(json.model.cuid, "model-under-test");
  const dead = "api ping --api-host http://127.0.0.1:9/";
  const words = "Check apiHost (VM_API_HOST, --api-host), the";
  await world.says(dead, 1, "error (api_unreachable): Cannot", words, { env });
});

apiTest("the settings file names provider, client and API", async (world, { apiHost }) => {
  const { issuer, clientId } = world.provider;
  await world.write({ issuer, clientId, apiHost });
  await world.says("VM_API_HOST= api things", 0, { env: NO_CLIENT });
});

const REFUSED: [words: string, said: string][] = [
  ["", "it takes one path"],
  ["a b", '"b": the command api does not take it'],
  ["a -f b", "Give it as NAME=VALUE"],
  ["a -H b", "Give it as NAME:VALUE"],
  ["a -H 'b\u00e9: c'", "Cannot use --header: it is not NAME:VALUE"],
  ["a -H 'authorization: Bearer b'", "Authorization has the session's token"],
  ["a --input absent.json", "Cannot read absent.json"],
  ["a -F b=@- -F c=@-", "Cannot read -"],
  ["a -X TRACE", "Cannot use --method: Method is forbidden"],
  ["a -X 'b c'", "Cannot use --method: Method is not valid"],
  ["a -X GET --input -", "Request with GET/HEAD method cannot have body"],
  ["a -X HEAD -f b=c", "Request with GET/HEAD method cannot have body"],
];

apiTest("a command that is not one request is refused, and nothing sent", async (world, api) => {
  for (const [words, said] of REFUSED) {
    assertEquals((await world.says(`api ${words}`, 2, said)).stdout, "");
  }
  const lacking = "error (api_host_missing): Cannot call the API: no API is named. Give apiHost";
  await world.says("VM_API_HOST= api ping --login", 2, lacking, "(VM_API_HOST, --api-host)");
  const { issuer, clientId } = world.provider;
  await world.write({ profiles: { staging: { issuer, clientId } } });
  const inProfile = "(validmind-auth config set api-host URL --profile staging)";
  await world.says("VM_API_HOST= api ping --profile staging", 2, "api_host_missing", inProfile);
  await world.says(`api ${api.otherOrigin}/x`, 1, "error (wrong_origin)");
  await world.says("logout", 0);
  await world.says("api ping", 4);
  await world.says("api ping --dpop", 4, " --dpop\n"); // the hint
  assertEquals([api.requests, api.otherRequests], [[], []]);
});
