import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { STEP_UP } from "../../support/demanding_api.ts";
import { hang, json, startHttpServer } from "../../support/http_server.ts";
import { runDeno } from "../../support/deno_process.ts";
import { startTrackingApi } from "../../support/tracking_api.ts";
import { test } from "../../support/provider_world.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { apiTest, type Context, finish } from "./api_test_context.ts";

/** The session's own headers, and those that `fetch` itself drops. */
const SECRET = ["authorization", "x-model-cuid", "x-monitoring", "x-library-version"];

apiTest("a redirect on the same origin keeps the headers", async ({ session, api }) => {
  for (const to of ["thing", "/api/v1/tracking/thing", `${api.apiHost}thing`]) {
    const headers = new Map([["x-mine", "1"]]).entries() as unknown as [string, string][];
    const status = await finish(
      session.fetch(`redirect?to=${encodeURIComponent(to)}`, { headers }),
    );
    assertEquals([status, api.requests.at(-1)?.path], [200, "/api/v1/tracking/thing"]);
    const { authorization, "x-model-cuid": model, "x-mine": mine } = api.requests.at(-1)!.headers;
    assertEquals([authorization?.startsWith("Bearer "), model, mine], [true, "cl-1", "1"]);
  }
});

apiTest("a redirect to another origin gets none of the session's", async ({ session, api }) => {
  await using detour = await startHttpServer(() =>
    new Response(null, { status: 302, headers: { location: `${api.apiHost}thing` } })
  );
  const headers = { cookie: "a=b", "proxy-authorization": "Basic x", "x-mine": "1" };
  assertEquals(await finish(session.fetch("redirect", { headers })), 200);
  const sent = api.otherRequests[0]!.headers;
  const names = [...SECRET, "cookie", "proxy-authorization"];
  assertEquals([names.filter((name) => name in sent), sent["x-mine"]], [[], "1"]);
  // Nor do they come back when the redirects do.
  const back = session.fetch(`redirect?to=${encodeURIComponent(detour.origin)}`);
  assertEquals(await finish(back), 401);
  assertEquals(SECRET.filter((name) => name in api.requests.at(-1)!.headers), []);
});

apiTest("a 401 of another origin is not about the token, and renews nothing", async (context) => {
  const { session, api, provider } = context;
  let asked = 0;
  await using other = await startHttpServer(() => {
    asked++;
    return new Response("no", { status: 401, headers: { "www-authenticate": STEP_UP } });
  });
  provider.reset();
  for (let call = 1; call <= 3; call++) {
    const status = await finish(session.fetch(`redirect?to=${encodeURIComponent(other.origin)}`));
    assertEquals([status, asked, api.requests.length], [401, call, call]);
  }
  assertEquals(provider.requests, []);
  // Nor is its demand one of the API, once the token has been renewed.
  api.script.push(() => new Response(null, { status: 401 }));
  const again = session.fetch(`redirect?to=${encodeURIComponent(other.origin)}`);
  assertEquals([await finish(again), asked], [401, 4]);
  // Nor where a caller's fetch follows redirects by itself.
  const fetched = (input: RequestInfo | URL, init?: RequestInit) =>
    fetch(input, { ...init, redirect: "follow" });
  const own = await context.signIn({ fetch: fetched });
  provider.reset();
  const third = own.fetch(`redirect?to=${encodeURIComponent(other.origin)}`);
  assertEquals([await finish(third), asked, provider.requests], [401, 5, []]);
});

Deno.test("api: a redirect to another origin does not get the API key", async () => {
  await using api = await startTrackingApi();
  const key = { apiKey: "test-api-key", apiSecret: "test-api-secret" };
  const session = await createSession({ ...key, apiHost: api.apiHost });
  const own = { authorization: "Basic x" }; // the caller's
  assertEquals(await finish(session.fetch("redirect", { headers: own })), 200);
  const { headers } = api.otherRequests[0]!;
  const names = ["x-api-key", "x-api-secret", "authorization"];
  assertEquals(names.filter((name) => name in headers), []);
});

const METHODS: [status: number, method: string, expected: string][] = [
  [301, "POST", "GET"],
  [302, "POST", "GET"],
  [303, "POST", "GET"],
  [303, "PUT", "GET"],
  [302, "PUT", "PUT"],
  [307, "POST", "POST"],
  [308, "POST", "POST"],
];

apiTest("a redirect's status tells the next method", async ({ session, api }) => {
  for (const [status, method, expected] of METHODS) {
    const request = { method, body: "hello", headers: { "content-type": "text/x-test" } };
    const answer = await session.fetch(`redirect?to=thing&status=${status}`, request);
    const { method: last, body } = await answer.json();
    const type = api.requests.at(-1)?.headers["content-type"];
    const sent = expected === method ? ["hello", "text/x-test"] : ["", undefined];
    assertEquals([last, body, type], [expected, ...sent]);
  }
  await finish(session.fetch("redirect?to=thing&status=303", { method: "HEAD" }));
  assertEquals(api.requests.slice(-2).map(({ method }) => method), ["HEAD", "HEAD"]);
});

apiTest("a body that is empty the second time cannot follow a redirect", async (context) => {
  const bytes = new TextEncoder().encode("hello");
  const bodies = [
    ReadableStream.from([bytes]),
    (async function* () {
      yield bytes;
    })(),
  ];
  for (const [index, body] of bodies.entries()) {
    context.api.reset();
    const request = { method: "PUT", body: body as BodyInit };
    const to = `redirect?to=thing&status=${[302, 307][index]}`;
    assertEquals(await finish(context.session.fetch(to, request)), [302, 307][index]);
    assertEquals(context.api.requests.length, 1);
  }
});

apiTest("any other body follows", async ({ session, api }) => {
  const bytes = new Uint8Array([65]);
  const bodies = [new Blob(["A"]), bytes, bytes.buffer, new DataView(bytes.buffer)];
  for (const body of [...bodies, new URLSearchParams({ A: "" }), new FormData()]) {
    const request = { method: "PUT", body };
    assertEquals(await finish(session.fetch("redirect?to=thing&status=307", request)), 200);
    assertEquals(api.requests.at(-1)?.path, "/api/v1/tracking/thing");
  }
});

const redirectTo = (location: string | undefined, status = 302) => () =>
  new Response(null, { status, headers: location === undefined ? {} : { location } });

apiTest("what is no redirect is the answer", async ({ session, api }) => {
  const nowhere = [undefined, "javascript:alert(1)", "http://[", "data:text/plain,x"];
  for (const location of nowhere) {
    api.script.push(redirectTo(location));
    assertEquals(await finish(session.fetch("thing")), 302);
  }
  api.script.push(redirectTo("/x", 304));
  assertEquals(await finish(session.fetch("thing")), 304);
  assertEquals(await finish(session.fetch("redirect", { redirect: "manual" })), 302);
  assertEquals(api.otherRequests, []);
});

apiTest("redirects without end, and those that are not wanted, are errors", async (context) => {
  const { session, api } = context;
  for (let hop = 0; hop < 30; hop++) api.script.push(redirectTo("redirect"));
  await rejectsWith("api_unreachable", () => session.fetch("redirect"), "redirects without an end");
  assertEquals(api.requests.length, 21);
  api.script.length = 0;
  api.reset();
  const run = () => session.fetch("redirect", { redirect: "error" });
  await rejectsWith("api_unreachable", run, "redirects to another address");
  assertEquals([api.requests.length, api.otherRequests], [1, []]);
});

/** Each `fetch("thing")` here is not the first, so that it sends a prepared request. */
function repeatTest(name: string, run: (context: Context) => Promise<void>): void {
  apiTest(`repeated: ${name}`, async (context) => {
    for (let i = 0; i < 3; i++) await finish(context.session.fetch("thing"));
    context.api.reset();
    await run(context);
  });
}

/** The bearer that the last request had, as the log keeps it. */
function lastBearer({ requests }: Context["api"]): string | undefined {
  return requests.at(-1)?.headers.authorization;
}

repeatTest("the answer is the real one", async ({ session, api }) => {
  const [one, two] = await Promise.all([session.fetch("thing"), session.fetch("thing")]);
  assertEquals([one.url, two.url], [`${api.apiHost}thing`, `${api.apiHost}thing`]);
  assertEquals([(await one.json()).path, (await two.json()).path], ["thing", "thing"]);
  assertEquals(await path(session.get("thing")), "thing");
  assertEquals(api.requests.map(({ headers }) => headers["x-model-cuid"]), Array(3).fill("cl-1"));
});

repeatTest("a new bearer is sent as soon as there is one", async ({ session, api }) => {
  for (let i = 0; i < 3; i++) {
    const bearer = await session.accessToken({ forceRefresh: true });
    for (let j = 0; j < 2; j++) {
      await finish(session.fetch("thing"));
      assertEquals(lastBearer(api), `Bearer ${bearer}`);
    }
  }
  api.reset();
  api.reject(1);
  assertEquals(await finish(session.fetch("thing")), 200);
  const bearer = lastBearer(api);
  assertEquals(await finish(session.fetch("thing")), 200);
  assertEquals([api.requests.length, lastBearer(api)], [3, bearer]);
});

repeatTest("a redirect takes the headers along on the same origin alone", async (context) => {
  const { session, api } = context;
  for (const status of [302, 308]) {
    api.script.push(redirectTo(`${api.otherOrigin}/x`, status));
    assertEquals(await finish(session.fetch("thing")), 200);
    const { method, headers } = api.otherRequests.at(-1)!;
    assertEquals([method, SECRET.filter((name) => name in headers)], ["GET", []]);
  }
  api.script.push(redirectTo("other", 307));
  assertEquals(await finish(session.fetch("thing")), 200);
  const { path, headers } = api.requests.at(-1)!;
  assertEquals([path, headers["x-model-cuid"]], ["/api/v1/tracking/other", "cl-1"]);
});

apiTest("repeated: paths and URL objects are each their own", async (context) => {
  const { session, api } = context;
  for (let i = 0; i < 80; i++) assertEquals(await path(session.get(`a/${i % 35}`)), `a/${i % 35}`);
  assertEquals(api.requests.length, 80);
  const url = new URL("one", api.apiHost);
  const target = url as unknown as string; // as JavaScript may pass it
  for (const name of ["one", "two", "three"]) {
    url.pathname = `/api/v1/tracking/${name}`;
    assertEquals(await path(session.get(target)), name);
  }
  url.host = new URL(api.otherOrigin).host;
  await rejectsWith("wrong_origin", () => session.get(target));
  assertEquals(api.otherRequests, []);
});

async function path(echo: Promise<unknown>): Promise<string> {
  return (await echo as { path: string }).path;
}

test("api: a fetch of the caller's follows nothing, and changes no other request", async (world) => {
  const seen: [string, HeadersInit, string | undefined][] = [];
  const fetch = ((input: string | URL | Request, options?: RequestInit) => {
    if (!String(input).endsWith("/thing")) return globalThis.fetch(input, options);
    seen.push([String(input), Object.fromEntries(options!.headers as Headers), options!.redirect]);
    (options!.headers as Headers).set("authorization", "Bearer other");
    (input as URL).host = "other.example.com";
    return Promise.resolve(json({}));
  }) as typeof globalThis.fetch;
  const session = await createSession({ ...world.options, fetch });
  for (let i = 0; i < 3; i++) await finish(session.fetch("thing"));
  const authorization = `Bearer ${await session.accessToken()}`;
  const one = [`${world.api.apiHost}thing`, { authorization }, "manual"];
  assertEquals(seen as unknown[], Array(3).fill(one));
});

const LIMIT = { timeoutMs: 1000 };

async function timed(run: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await rejectsWith("api_unreachable", run, `${LIMIT.timeoutMs} ms`);
  return performance.now() - begin;
}

apiTest("time limit: each call has its own, and only the late one is ended", async (context) => {
  const { session, api } = context;
  const gone = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  api.script.push((request) => {
    request.signal.addEventListener("abort", () => gone.resolve());
    begun.resolve();
    return hang(request);
  });
  const late = timed(() => session.fetch("thing"));
  await begun.promise;
  await new Promise((resolve) => setTimeout(resolve, 0.8 * LIMIT.timeoutMs));
  api.script.push(async () => {
    await gone.promise; // the connection of the late one was really closed
    return json({ path: "in time" });
  });
  const inTime = session.fetch("thing");
  await late;
  assertEquals((await (await inTime).json()).path, "in time");
  api.script.push(hang);
  const took = await timed(() => session.fetch("thing"));
  assert(took > LIMIT.timeoutMs - 10, `ended after ${took} ms`);
}, LIMIT);

apiTest("time limit: a body that goes on after it is not cut off", async ({ session, api }) => {
  const rest = Promise.withResolvers<void>();
  api.script.push(() =>
    new Response(ReadableStream.from((async function* () {
      yield new TextEncoder().encode("begin");
      await rest.promise;
      yield new TextEncoder().encode(" end");
    })()))
  );
  const response = await session.fetch("thing");
  api.script.push(hang);
  await timed(() => session.fetch("thing"));
  rest.resolve();
  assertEquals(await response.text(), "begin end");
}, LIMIT);

Deno.test("api: a redirect to a denied host names its flag, and lets the process end", async () => {
  await using api = await startHttpServer(({ url }) =>
    Response.redirect(new URL("//localhost:9099/x", url), 307)
  );
  const { stdout } = await runDeno({
    flags: [`--allow-net=${new URL(api.origin).host}`, "--allow-env"],
    code: `import { createSession, credentialKey, MemoryCredentialsBackend } from "@validmind/auth";
      const apiHost = ${JSON.stringify(api.origin)};
      const session = await createSession({ apiKey: "test-key", apiSecret: "test-secret", apiHost });
      const told = (error: Error) => console.log(error.message);
      await session.get("thing").catch(told);
      await session.post("thing", { json: {} }).catch(told);
      // The same with DPoP, which has a fetch of its own.
      const ES256 = { name: "ECDSA", namedCurve: "P-256" };
      const { privateKey } = await crypto.subtle.generateKey(ES256, true, ["sign", "verify"]);
      const dpop_key = await crypto.subtle.exportKey("jwk", privateKey);
      const [issuer, client_id] = ["https://login.example.com", "c"];
      const expires_at = "2099-01-01T00:00:00Z";
      const entry = { issuer, client_id, access_token: "test-token", expires_at, dpop_key };
      const credentialsBackend = new MemoryCredentialsBackend();
      const own = { dpop: true } as const;
      credentialsBackend.put(credentialKey(issuer, client_id, undefined, own), entry);
      const options = { ...own, issuer, clientId: client_id, interactive: false, apiHost };
      const bound = await createSession({ ...options, credentialsBackend });
      await bound.post("thing", { json: {} }).catch(told);`,
  });
  assertEquals(stdout.match(/--allow-net=localhost:9099\n/g)?.length, 3, stdout);
});

Deno.test("api: time limit: it keeps no process that has its answer", async () => {
  await using api = await startTrackingApi();
  // Far longer than the limit of a child, which is killed then.
  const { stdout, stderr } = await runDeno({
    code: `import { createSession } from "@validmind/auth";
      const key = { apiKey: "test-api-key", apiSecret: "test-api-secret" };
      const session = await createSession({ ...key, apiHost: "${api.apiHost}", timeoutMs: 600_000 });
      for (let i = 0; i < 3; i++) await (await session.fetch("thing")).body.cancel();`,
    flags: ["--allow-net", "--allow-env"],
  });
  assertEquals(stdout + stderr, "");
});

Deno.test("api: time limit: a fetch of the caller's that never ends is ended", async () => {
  const { stdout, stderr } = await runDeno({
    // No top-level await, which would wait for any timer.
    code: `import { createSession } from "@validmind/auth";
      const fetch = (_, { signal }) =>
        new Promise((_, reject) => signal.addEventListener("abort", reject));
      const key = { apiKey: "k", apiSecret: "s", apiHost: "http://localhost:1/" };
      const session = await createSession({ ...key, timeoutMs: 50, fetch });
      session.fetch("thing").catch(({ code }) => console.log(code));`,
    flags: ["--allow-net", "--allow-env"],
  });
  assertStringIncludes(stdout + stderr, "api_unreachable");
});

test("api: a fetch of the caller's that does not look at its signal ends in time, too", async (world) => {
  const never = Promise.withResolvers<Response>();
  const fetch = spyFetch((url, options) =>
    url.startsWith(world.api.apiHost) ? never.promise : globalThis.fetch(url, options)
  );
  const session = await createSession({ ...world.options, fetch });
  const controller = new AbortController();
  const aborted = session.fetch("thing", { signal: controller.signal }).catch((reason) => reason);
  controller.abort("enough");
  assertEquals(await aborted, "enough");
  await using hurried = await createSession({ ...world.options, fetch, timeoutMs: 20 });
  await rejectsWith("api_unreachable", () => hurried.fetch("thing"), "20 ms");
  await rejectsWith("api_unreachable", () => hurried.get("thing"), "20 ms");
  never.resolve(Response.redirect(`${world.api.apiHost}next`)); // which is not followed any more
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(fetch.urls.filter((url) => url.endsWith("/next")), []);
});
