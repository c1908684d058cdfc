import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { createSession } from "../../../client/create_session.ts";
import { isReplayable } from "../../../client/api/transport.ts";
import { init } from "../../../client/init.ts";
import type { Session } from "../../../client/session.ts";
import { hang, json, startHttpServer } from "../../support/http_server.ts";
import { runDeno } from "../../support/deno_process.ts";
import type { ScriptedProvider } from "../../support/scripted_provider.ts";
import { sha256Hex } from "../../support/sha256_hex.ts";
import { startTrackingApi } from "../../support/tracking_api.ts";
import { paths } from "../../support/request_log.ts";
import { type ProviderWorld, scriptedProviderWorld } from "../../support/provider_world.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

type Context = ProviderWorld<ScriptedProvider> & { session: Session };

function redirectTest(name: string, run: (context: Context) => Promise<void>): void {
  Deno.test(`redirects: ${name}`, async () => {
    await using world = await scriptedProviderWorld();
    const session = await init({ ...world.options, model: "cl-1" });
    world.api.reset();
    await run(Object.assign(Object.create(world), { session }));
  });
}

async function finish(response: Promise<Response>): Promise<number> {
  const { status, body } = await response;
  await body?.cancel();
  return status;
}

redirectTest("on the same origin the headers stay", async ({ session, api }) => {
  for (const to of ["thing", "/api/v1/tracking/thing", `${api.apiHost}thing`]) {
    api.reset();
    const status = await finish(session.fetch(`redirect?to=${encodeURIComponent(to)}`));
    assertEquals([status, api.requests.at(-1)?.path], [200, "/api/v1/tracking/thing"]);
    const { authorization, "x-model-cuid": model } = api.requests.at(-1)!.headers;
    assertEquals([authorization?.startsWith("Bearer "), model], [true, "cl-1"]);
  }
});

redirectTest("another origin gets no header of the session's", async ({ session, api }) => {
  const headers = { cookie: "a=b", "proxy-authorization": "Basic x", "x-mine": "1" };
  assertEquals(await finish(session.fetch("redirect", { headers })), 200);
  const sent = api.otherRequests[0]!.headers;
  const names = [
    "authorization",
    "x-model-cuid",
    "x-monitoring",
    "x-library-version",
    "cookie",
    "proxy-authorization",
  ];
  assertEquals(names.filter((name) => name in sent), []);
  assertEquals(sent["x-mine"], "1");
});

redirectTest("headers that can be read once go along", async ({ session, api }) => {
  const headers = new Map([["x-mine", "1"]]).entries() as unknown as [string, string][];
  assertEquals(await finish(session.fetch("redirect?to=thing", { headers })), 200);
  assertEquals(api.requests.map((request) => request.headers["x-mine"]), ["1", "1"]);
});

Deno.test("redirects: another origin does not get the API key", async () => {
  await using api = await startTrackingApi();
  const session = await createSession({
    apiKey: "test-api-key",
    apiSecret: "test-api-secret",
    apiHost: api.apiHost,
  });
  assertEquals(await finish(session.fetch("redirect")), 200);
  const { headers } = api.otherRequests[0]!;
  assertEquals(["x-api-key" in headers, "x-api-secret" in headers], [false, false]);
});

Deno.test("redirects: the headers do not come back when the redirects do", async () => {
  await using world = await scriptedProviderWorld();
  await using detour = await startHttpServer(() =>
    new Response(null, { status: 302, headers: { location: `${world.api.apiHost}thing` } })
  );
  const session = await init({ ...world.options, model: "cl-1" });
  const to = encodeURIComponent(detour.origin);
  const status = await finish(session.fetch(`redirect?to=${to}`));
  const { path, headers } = world.api.requests.at(-1)!;
  assertEquals([path, status], ["/api/v1/tracking/thing", 401]);
  assertEquals(["authorization" in headers, "x-model-cuid" in headers], [false, false]);
});

const METHODS: [status: number, method: string, expected: string, hasBody: boolean][] = [
  [301, "POST", "GET", false],
  [302, "POST", "GET", false],
  [303, "POST", "GET", false],
  [303, "PUT", "GET", false],
  [302, "PUT", "PUT", true],
  [307, "POST", "POST", true],
  [308, "POST", "POST", true],
];

for (const [status, method, expected, hasBody] of METHODS) {
  redirectTest(`${status} turns ${method} into ${expected}`, async ({ session, api }) => {
    const headers = { "content-type": "text/x-test" };
    const request = { method, body: "hello", headers };
    const answer = await session.fetch(`redirect?to=thing&status=${status}`, request);
    const echo = await answer.json();
    assertEquals([echo.method, echo.body], [expected, hasBody ? "hello" : ""]);
    assertEquals(api.requests.at(-1)?.headers["content-type"], hasBody ? "text/x-test" : undefined);
  });
}

redirectTest("HEAD stays HEAD", async ({ session, api }) => {
  await finish(session.fetch("redirect?to=thing&status=303", { method: "HEAD" }));
  assertEquals(api.requests.map(({ method }) => method), ["HEAD", "HEAD"]);
});

/** Bodies that are empty when they are sent again. */
const ONCE: [what: string, make: () => unknown][] = [
  ["a stream", () => ReadableStream.from([new TextEncoder().encode("hello")])],
  ["a generator", async function* () {
    yield new TextEncoder().encode("hello");
  }],
  ["an iterable", () => ({
    *[Symbol.iterator]() {
      yield new TextEncoder().encode("hello");
    },
  })],
];

for (const [what, make] of ONCE) {
  Deno.test(`isReplayable: ${what} is not`, () => {
    const body = make();
    assertEquals(isReplayable(typeof body === "function" ? body() : body), false);
  });
}

Deno.test("isReplayable: what is", () => {
  const bytes = new Uint8Array([1]);
  const bodies = ["", "x", new Blob(), bytes, bytes.buffer, new DataView(bytes.buffer)];
  for (const body of [...bodies, new URLSearchParams(), new FormData(), undefined, null]) {
    assertEquals(isReplayable(body), true);
  }
});

for (const status of [302, 307, 308]) {
  redirectTest(`a stream cannot follow a ${status}, so it is the answer`, async (context) => {
    for (
      const body of [
        ReadableStream.from([new TextEncoder().encode("hello")]),
        (async function* () {
          yield new TextEncoder().encode("hello");
        })() as unknown as ReadableStream,
      ]
    ) {
      context.api.reset();
      const request = { method: "PUT", body };
      const to = `redirect?to=thing&status=${status}`;
      assertEquals(await finish(context.session.fetch(to, request)), status);
      assertEquals(context.api.requests.length, 1);
    }
  });
}

redirectTest("one without end is given up after 20", async ({ session, api }) => {
  const run = () => session.fetch("redirect?to=redirect%3Fto%3Dredirect");
  for (let hop = 0; hop < 30; hop++) {
    api.script.push(() => new Response(null, { status: 302, headers: { location: "redirect" } }));
  }
  await rejectsWith("api_unreachable", run, "redirects without end");
  assertEquals(api.requests.length, 21);
});

redirectTest('redirect "manual" gives the redirect itself', async ({ session, api }) => {
  assertEquals(await finish(session.fetch("redirect", { redirect: "manual" })), 302);
  assertEquals(api.otherRequests, []);
});

redirectTest('redirect "error" makes it an error', async ({ session, api }) => {
  const run = () => session.fetch("redirect", { redirect: "error" });
  await rejectsWith("api_unreachable", run, "redirects elsewhere");
  assertEquals([paths(api.requests).length, api.otherRequests], [1, []]);
});

redirectTest("a redirect to nowhere is the answer", async ({ session, api }) => {
  for (const location of [undefined, "javascript:alert(1)", "http://[", "data:text/plain,x"]) {
    const headers = new Headers(location === undefined ? {} : { location });
    api.script.push(() => new Response(null, { status: 302, headers }));
    assertEquals(await finish(session.fetch("thing")), 302);
  }
});

redirectTest("304 is no redirect", async ({ session, api }) => {
  api.script.push(() => new Response(null, { status: 304, headers: { location: "/x" } }));
  assertEquals(await finish(session.fetch("thing")), 304);
});

Deno.test("redirects: fetch itself is never told to follow", async () => {
  await using world = await scriptedProviderWorld();
  const modes = new Set<string | undefined>();
  const fetch = spyFetch((url, options) => {
    if (url.startsWith(world.api.apiHost)) modes.add(options.redirect);
    return globalThis.fetch(url, options);
  });
  const session = await init({ ...world.options, model: "cl-1", fetch });
  await finish(session.fetch("redirect", { redirect: "follow" }));
  assertEquals(modes, new Set(["manual"]));
});

/** A session whose next `fetch("thing")` is not the first, so that it sends what is prepared. */
function repeatTest(name: string, run: (context: Context) => Promise<void>): void {
  redirectTest(`repeated: ${name}`, async (context) => {
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
  assertEquals((await session.get("thing") as { path: string }).path, "thing");
  assertEquals(api.requests.map(({ headers }) => headers["x-model-cuid"]), Array(3).fill("cl-1"));
});

repeatTest("a new bearer is sent as soon as there is one", async (context) => {
  const { session, api } = context;
  for (let i = 0; i < 3; i++) {
    const bearer = await session.accessToken({ forceRefresh: true });
    for (let j = 0; j < 2; j++) {
      await finish(session.fetch("thing"));
      assertEquals(lastBearer(api), `Bearer ${await sha256Hex(bearer)}`);
    }
  }
});

repeatTest("a 401 is renewed once, and then remembered", async ({ session, api }) => {
  api.reject(1);
  assertEquals(await finish(session.fetch("thing")), 200);
  const bearer = lastBearer(api);
  assertEquals(await finish(session.fetch("thing")), 200);
  assertEquals([api.requests.length, lastBearer(api)], [3, bearer]);
});

repeatTest("a redirect to another origin takes no header along", async ({ session, api }) => {
  const headers = { location: `${api.otherOrigin}/x` };
  for (const status of [302, 308]) {
    api.script.push(() => new Response(null, { status, headers }));
    assertEquals(await finish(session.fetch("thing")), 200);
    const { method, headers: sent } = api.otherRequests.at(-1)!;
    const names = ["authorization", "x-model-cuid", "x-monitoring", "x-library-version"];
    assertEquals([method, names.filter((name) => name in sent)], ["GET", []]);
  }
});

repeatTest("a redirect on the same origin takes them along", async ({ session, api }) => {
  api.script.push(() => new Response(null, { status: 307, headers: { location: "other" } }));
  assertEquals(await finish(session.fetch("thing")), 200);
  const { path, headers } = api.requests.at(-1)!;
  assertEquals([path, headers["x-model-cuid"]], ["/api/v1/tracking/other", "cl-1"]);
});

repeatTest("after clear() and close() nothing is sent", async ({ session, api }) => {
  await session.clear();
  await rejectsWith("login_required", () => session.fetch("thing"));
  await session.close();
  await rejectsWith("session_closed", () => session.fetch("thing"));
  assertEquals(api.requests, []);
});

redirectTest("repeated: another origin is refused each time", async ({ session, api }) => {
  const other = new URL(api.otherOrigin).host;
  const slashes = [
    `//${other}/x`,
    `\\\\${other}/x`,
    `/\\${other}/x`,
    `\t//${other}/x`,
    `/\n/${other}/x`,
  ];
  for (const path of [...slashes, `http://${other}/`, ` http://${other}/`, `x:y`]) {
    for (let i = 0; i < 3; i++) await rejectsWith("wrong_origin", () => session.fetch(path));
    await rejectsWith("wrong_origin", () => session.get(path));
  }
  assertEquals([api.requests, api.otherRequests], [[], []]);
});

redirectTest("repeated: a URL object is looked at each time", async ({ session, api }) => {
  const url = new URL("one", api.apiHost);
  const target = url as unknown as string; // as JavaScript may pass it
  for (const name of ["one", "two", "three"]) {
    url.pathname = `/api/v1/tracking/${name}`;
    assertEquals(await session.get(target).then(path), name);
  }
  url.host = new URL(api.otherOrigin).host;
  await rejectsWith("wrong_origin", () => session.get(target));
  assertEquals(api.otherRequests, []);
});

redirectTest("repeated: many paths are each their own", async ({ session, api }) => {
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 40; i++) {
      assertEquals(await session.get(`a/${i % 35}`).then(path), `a/${i % 35}`);
    }
  }
  assertEquals(api.requests.length, 80);
});

function path(echo: unknown): string {
  return (echo as { path: string }).path;
}

Deno.test("headers: a fetch of the caller's that changes its own changes no other's", async () => {
  await using world = await scriptedProviderWorld();
  const seen: HeadersInit[] = [];
  const fetch = spyFetch((url, options) => {
    if (!url.endsWith("/thing")) return globalThis.fetch(url, options);
    seen.push({ ...options.headers as Record<string, string> });
    Object.assign(options.headers!, { authorization: "Bearer other", "x-new": "1" });
    return json({});
  });
  const session = await createSession({ ...world.options, fetch });
  for (let i = 0; i < 3; i++) await finish(session.fetch("thing"));
  const authorization = `Bearer ${await session.accessToken()}`;
  assertEquals(seen, Array(3).fill({ authorization }));
});

Deno.test("headers: a fetch of the caller's that changes its URL changes no other's", async () => {
  await using world = await scriptedProviderWorld();
  const seen: string[] = [];
  const fetch = ((input: string | URL | Request, options?: RequestInit) => {
    if (!String(input).endsWith("/thing")) return globalThis.fetch(input, options);
    seen.push(String(input));
    (input as URL).host = "other.example.com";
    return Promise.resolve(json({}));
  }) as typeof globalThis.fetch;
  const session = await createSession({ ...world.options, fetch });
  for (let i = 0; i < 3; i++) await finish(session.fetch("thing"));
  assertEquals(seen, Array(3).fill(`${world.api.apiHost}thing`));
});

const LIMIT_MS = 200;

/** A session with a short time limit; nothing may be left of it, not even a timer. */
function limitTest(name: string, run: (context: Context) => Promise<void>): void {
  const test = async () => {
    await using world = await scriptedProviderWorld();
    const session = await createSession({ ...world.options, timeoutMs: LIMIT_MS });
    await run(Object.assign(Object.create(world), { session }));
  };
  Deno.test({
    name: `time limit: ${name}`,
    fn: test,
    sanitizeOps: true,
    sanitizeResources: true,
  });
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await rejectsWith("api_unreachable", run, `${LIMIT_MS} ms`);
  return performance.now() - begin;
}

limitTest("each call has its own, whenever the one before began", async ({ session, api }) => {
  api.script.push(async () => {
    await new Promise((resolve) => setTimeout(resolve, LIMIT_MS / 2)); // of the server's
    return json({});
  });
  await finish(session.fetch("thing"));
  for (let i = 0; i < 3; i++) {
    api.script.push(hang);
    const took = await timed(() => session.fetch("thing"));
    assert(took > LIMIT_MS - 10, `ended after ${took} ms`);
  }
});

limitTest("a call that is late is ended, those that are not go on", async ({ session, api }) => {
  const begun = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  api.script.push((request) => {
    request.signal.addEventListener("abort", () => gone.resolve());
    begun.resolve();
    return hang(request);
  });
  const late = timed(() => session.fetch("thing"));
  await begun.promise;
  api.script.push(async () => {
    await gone.promise; // the connection of the late one was really closed
    return json({ path: "in time" });
  });
  await new Promise((resolve) => setTimeout(resolve, LIMIT_MS / 2));
  const inTime = session.fetch("thing");
  await late;
  assertEquals((await (await inTime).json()).path, "in time");
});

limitTest("a body that goes on after it is not cut off", async ({ session, api }) => {
  const rest = Promise.withResolvers<void>();
  api.script.push(() => {
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        controller.enqueue(new TextEncoder().encode("begin"));
        await rest.promise;
        controller.enqueue(new TextEncoder().encode(" end"));
        controller.close();
      },
    });
    return new Response(body);
  });
  const response = await session.fetch("thing");
  api.script.push(hang);
  await timed(() => session.fetch("thing"));
  rest.resolve();
  assertEquals(await response.text(), "begin end");
});

/** Runs a program with a session by API key, and tells what it printed and how long it took. */
async function runSession(apiHost: string, options: string, use: string) {
  const begin = performance.now();
  const { stdout, stderr } = await runDeno({
    code: `import { createSession } from "@validmind/auth";
      const key = { apiKey: "test-api-key", apiSecret: "test-api-secret" };
      const session = await createSession({ ...key, apiHost: "${apiHost}", ${options} });
      ${use}`,
    flags: ["--allow-net", "--allow-env"],
  });
  return { text: stdout + stderr, took: performance.now() - begin };
}

Deno.test("time limit: it keeps no process that has its answer", async () => {
  await using api = await startTrackingApi();
  const use = `for (let i = 0; i < 3; i++) await (await session.fetch("thing")).body.cancel();`;
  const { text, took } = await runSession(api.apiHost, "timeoutMs: 20_000", use);
  assertEquals(text, "");
  assert(took < 15_000, `${took} ms`);
});

Deno.test("time limit: a fetch of the caller's that never ends is ended", async () => {
  const options = `timeoutMs: 50, fetch: (_, { signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", reject))`;
  // No top-level await, which would wait for any timer.
  const use = `session.fetch("thing").catch(({ code }) => console.log(code));`;
  const { text } = await runSession("http://localhost:1/", options, use);
  assertStringIncludes(text, "api_unreachable");
});
