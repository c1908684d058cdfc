import { assertEquals } from "@std/assert";
import { createSession } from "../../client/create_session.ts";
import { isReplayable } from "../../client/api_transport.ts";
import { init } from "../../client/init.ts";
import type { Session } from "../../client/session.ts";
import { startHttpServer } from "../support/http_server.ts";
import type { ScriptedProvider } from "../support/scripted_provider.ts";
import { startTrackingApi } from "../support/tracking_api.ts";
import { assertCode, paths, scriptedWorld, spyFetch, type World } from "./fixtures.ts";

type Context = World<ScriptedProvider> & { session: Session };

function redirectTest(name: string, run: (context: Context) => Promise<void>): void {
  Deno.test(`redirects: ${name}`, async () => {
    await using world = await scriptedWorld();
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
  await using world = await scriptedWorld();
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
  await assertCode(run, "api_unreachable", "redirects without end");
  assertEquals(api.requests.length, 21);
});

redirectTest('redirect "manual" gives the redirect itself', async ({ session, api }) => {
  assertEquals(await finish(session.fetch("redirect", { redirect: "manual" })), 302);
  assertEquals(api.otherRequests, []);
});

redirectTest('redirect "error" makes it an error', async ({ session, api }) => {
  const run = () => session.fetch("redirect", { redirect: "error" });
  await assertCode(run, "api_unreachable", "redirects elsewhere");
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
  await using world = await scriptedWorld();
  const modes = new Set<string | undefined>();
  const fetch = spyFetch((url, options) => {
    if (url.startsWith(world.api.apiHost)) modes.add(options.redirect);
    return globalThis.fetch(url, options);
  });
  const session = await init({ ...world.options, model: "cl-1", fetch });
  await finish(session.fetch("redirect", { redirect: "follow" }));
  assertEquals(modes, new Set(["manual"]));
});
