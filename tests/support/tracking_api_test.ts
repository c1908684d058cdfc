import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { json } from "./http_server.ts";
import { sha256Hex } from "./sha256_hex.ts";
import { startTrackingApi, type TrackingApi, type TrackingApiOptions } from "./tracking_api.ts";

const BEARER = { authorization: "Bearer good" };

function call(api: TrackingApi, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(api.apiHost + path, { headers: BEARER, redirect: "manual", ...init });
}

async function statusOf(answer: Promise<Response>): Promise<number> {
  const response = await answer;
  await response.body?.cancel();
  return response.status;
}

function apiTest(
  name: string,
  fn: (api: TrackingApi) => Promise<void>,
  options?: TrackingApiOptions,
): void {
  Deno.test(`tracking api: ${name}`, async () => {
    await using api = await startTrackingApi(options);
    await fn(api);
  });
}

apiTest("ping needs a bearer that is accepted, or the API key and secret", async (api) => {
  const response = await call(api, "ping");
  assertEquals(response.status, 200);
  const body = await response.json();
  assertEquals([typeof body.model.cuid, body.document_type], ["string", "model_documentation"]);
  const keys = { "x-api-key": "test-api-key", "x-api-secret": "test-api-secret" };
  assertEquals(await statusOf(call(api, "ping", { headers: keys })), 200);
  const wrong = { ...keys, "x-api-secret": "wrong" };
  const refused: Record<string, string>[] = [{}, wrong, { authorization: "Bearer bad" }];
  for (const headers of refused) {
    assertEquals(await statusOf(call(api, "ping", { headers })), 401);
  }
}, { accepts: (bearer) => bearer === "good" });

apiTest("rejects and scripts the next requests", async (api) => {
  api.reject(2);
  api.script.push(() => json({ scripted: true }, 429, { "retry-after": "1" }));
  const statuses: number[] = [];
  for (let time = 0; time < 4; time++) statuses.push(await statusOf(call(api, "ping")));
  assertEquals(statuses, [429, 401, 401, 200]);
});

apiTest("echoes other requests", async (api) => {
  const body = JSON.stringify({ content_id: "x", text: "hello" });
  const headers = { ...BEARER, "content-type": "application/json" };
  const response = await call(api, "log_metadata?section=a", { method: "POST", body, headers });
  assertEquals(await response.json(), {
    method: "POST",
    path: "log_metadata",
    query: { section: "a" },
    body: { content_id: "x", text: "hello" },
  });
  const [request] = api.requests;
  assertEquals(request?.body, body);
  assertEquals(request?.headers.authorization, `Bearer ${await sha256Hex("good")}`);
});

apiTest("redirects to another origin, and records what arrives there", async (api) => {
  const response = await call(api, "redirect?status=307");
  await response.body?.cancel();
  const location = response.headers.get("location") ?? "";
  assertEquals(response.status, 307);
  assert(location.startsWith(api.otherOrigin));
  assert(new URL(location).origin !== new URL(api.apiHost).origin);
  await (await fetch(location)).body?.cancel();
  assertEquals(api.otherRequests.map(({ path }) => path), ["/elsewhere"]);
  assertEquals(api.otherRequests[0]?.headers.authorization, undefined);
});

apiTest("an error page is long and HTML", async (api) => {
  const response = await call(api, "error");
  const text = await response.text();
  assertEquals(response.status, 500);
  assertStringIncludes(text, "<!DOCTYPE html>");
  assert(text.length > 10_000);
});
