import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ApiError, createSession } from "@validmind/auth";
import { named } from "../../../client/options/declaration.ts";
import { hang, json, resetConnection, truncated } from "../../support/http_server.ts";
import { freePort } from "../../support/servers/free_port.ts";
import { test } from "../../support/provider_world.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { apiTest, finish } from "./api_test_context.ts";

interface Echo {
  method: string;
  path: string;
  query: Record<string, string>;
  body: unknown;
}

apiTest("a path is below apiHost, with a slash and without one", async (context) => {
  const { session, api } = context;
  const { origin, pathname } = new URL(api.apiHost);
  const whole = [new URL("thing", api.apiHost), `${api.apiHost}thing`, `${pathname}thing`];
  for (const path of ["thing", "./thing", "/thing", " /thing", "\\thing", ...whole]) {
    const { path: asked, query } = await (await session.fetch(path)).json() as Echo;
    assertEquals([asked, query], ["thing", {}], String(path));
  }
  const echo = { method: "GET", path: "a/b%20c", query: { d: "1" }, body: "" };
  for (const path of ["a/b%20c?d=1", "/a/b%20c?d=1"]) {
    assertEquals(await session.get(path) as Echo, echo);
  }
  await finish(session.fetch(`${origin}/elsewhere`)); // the origin's, by its whole address
  assertEquals(api.requests.at(-1)?.path, "/elsewhere");
});

apiTest("params go into the query, undefined ones do not", async ({ session }) => {
  const params = { text: "a&b=ü ", number: 0, yes: true, no: undefined };
  const { query } = await session.get("thing?kept=1", params) as Echo;
  assertEquals(query, { kept: "1", text: "a&b=ü ", number: "0", yes: "true" });
  const answer = await session.post("thing", { params: { a: 1 } }) as Echo;
  assertEquals([answer.method, answer.query, answer.body], ["POST", { a: "1" }, ""]);
});

apiTest("json is sent as JSON, whatever the value", async ({ session, api }) => {
  for (const value of [{ a: "ü" }, [], "text", 0, false, null]) {
    assertEquals((await session.post("thing", { json: value }) as Echo).body, value);
    assertEquals(api.requests.at(-1)?.headers["content-type"], "application/json");
  }
});

apiTest("a form is URL-encoded, or multipart where it has files", async ({ session, api }) => {
  const sent = async (form: Record<string, string | Blob> | URLSearchParams | FormData) => {
    const { body } = await session.post("thing", { form }) as { body: string };
    const type = api.requests.at(-1)!.headers["content-type"]!;
    const data = await new Response(body, { headers: { "content-type": type } }).formData();
    return { data, type: type.replace(/\s|boundary.*/g, "").toLowerCase() };
  };
  const plain = { a: "1 & 2", b: "ü" };
  for (const form of [plain, new URLSearchParams(plain)]) {
    const { data, type } = await sent(form);
    assertEquals(Object.fromEntries(data), plain);
    assertEquals(type, "application/x-www-form-urlencoded;charset=utf-8");
  }
  const multipart = new FormData();
  multipart.set("file", new Blob(["content"]), "a.txt");
  const file = new File(["content"], "a.txt", { type: "text/plain" });
  for (const form of [multipart, { note: "a & b", file, plain: new Blob(["in a blob"]) }]) {
    const { data, type } = await sent(form);
    const received = data.get("file") as File;
    const { name } = received;
    assertEquals([type, name], ["multipart/form-data;", "a.txt"]);
    assertEquals(await received.text(), "content");
    if (form === multipart) continue;
    assertEquals([data.get("note"), received.type], ["a & b", "text/plain"]);
    assertEquals(await (data.get("plain") as File).text(), "in a blob");
  }
});

apiTest("a body of any kind is sent once when the connection drops", async ({ session, api }) => {
  const form = new FormData();
  form.set("a", "1");
  const posted = [{ json: {} }, { form: { a: "1" } }, { form }, { form: { a: new Blob() } }];
  const bytes = new TextEncoder().encode("hello");
  const fetched = ["hello", new URLSearchParams({ a: "1" }), bytes, bytes.buffer];
  const calls = [
    ...posted.map((options) => () => session.post("thing", options)),
    ...fetched.map((body) => () => session.fetch("thing", { method: "POST", body })),
  ];
  for (const call of calls) {
    await session.get("thing"); // so that the connection is a kept one, which fetch tries again
    api.reset();
    api.script.push(resetConnection, () => json({}));
    await rejectsWith("api_unreachable", call, `POST ${api.apiHost}thing`);
    assertEquals(api.requests.length, 1);
    api.script.length = 0;
  }
  api.script.push(() => truncated("[1,"));
  await rejectsWith("api_unreachable", () => session.get("thing"), `GET ${api.apiHost}thing`);
});

apiTest("a text body keeps its type, and the caller's own wins", async ({ session, api }) => {
  const form = new URLSearchParams({ a: "1 & 2" });
  const types = { "content-type": "application/json" };
  const rows: [body: BodyInit, headers: HeadersInit, type: string][] = [
    ["ü", {}, "text/plain;charset=utf-8"],
    [form, {}, "application/x-www-form-urlencoded;charset=utf-8"],
    ['"ü"', types, "application/json"],
  ];
  for (const [body, headers, type] of rows) {
    const response = await session.fetch("thing", { method: "POST", body, headers });
    const sent = (await response.json() as Echo).body;
    assertEquals(sent, type === "application/json" ? "ü" : String(body));
    assertEquals(api.requests.at(-1)?.headers["content-type"]?.toLowerCase(), type);
  }
});

apiTest("an answer is JSON, or empty, or an ApiError", async ({ session, api }) => {
  api.script.push(() => new Response(null, { status: 204 }), () => new Response("", {}));
  assertEquals([await session.get("thing"), await session.post("thing")], [undefined, undefined]);
  api.script.push(() => new Response("<html>Sign in</html>"));
  const error = await assertRejects(() => session.get("thing"), ApiError, api.apiHost);
  assertEquals([error.status, error.code, error.body], [200, "api_error", "<html>Sign in</html>"]);
});

const ADVICE = { 400: "the request", 404: "the path", 429: "again later", 500: "again later" };

apiTest("an error status is an ApiError with the beginning of the answer", async ({ session }) => {
  for (const [status, advice] of Object.entries(ADVICE)) {
    const run = () => session.get(`error?status=${status}`);
    const error = await rejectsWith("api_error", run, advice);
    assertEquals([error.status, error.body.length], [Number(status), 2000]);
    assertMatch(error.body, /^<!DOCTYPE html>/);
    assertEquals([error.message.length < 700, /[\r\n]/.test(error.message)], [true, false]);
  }
  const refused = () => session.get("error?status=401");
  await assertRejects(refused, ApiError, `Check ${named("audience")} and ${named("scope")}`);
  const response = await session.fetch("error?status=418"); // as it is, whatever the status
  assertEquals([response.status, (await response.text()).length > 5000], [418, true]);
});

apiTest("an ApiError tells how long the API wants to be left alone", async ({ session, api }) => {
  const answer = (status: number, wait: string) => () =>
    new Response("busy", { status, headers: { "retry-after": wait } });
  api.script.push(answer(429, "7"), answer(503, "0"), answer(429, "soon"));
  for (const expected of [7000, 0, undefined]) {
    const error = await assertRejects(() => session.get("thing"), ApiError);
    assertEquals(error.retryAfterMs, expected);
  }
});

apiTest("of an endless error only the beginning is read", async ({ session, api }) => {
  let sent = 0;
  api.script.push(() => {
    const pull = (controller: ReadableStreamDefaultController<Uint8Array>) => {
      sent += 16_384;
      controller.enqueue(new TextEncoder().encode("x".repeat(16_384)));
    };
    return new Response(new ReadableStream({ pull }), { status: 500 });
  });
  const error = await assertRejects(() => session.get("thing"), ApiError);
  assertEquals([error.status, error.body], [500, "x".repeat(2000)]);
  assertEquals(sent < 10_000_000, true);
});

apiTest("an error of the API has no piece of the token", async ({ session, api }) => {
  const token = await session.accessToken();
  const pieces = token.match(/.{1,10}/g)!;
  const echoes = [token.slice(1), pieces.join("\n"), JSON.stringify(pieces), btoa(`x${token}`)];
  for (const echo of echoes) {
    api.script.push(() => new Response(`refused: ${echo}`, { status: 403 }));
    const error = await assertRejects(() => session.get("thing"), ApiError);
    const said = `${error.message} ${error.body}`.replaceAll("[removed]", "~");
    const shown = said.replace(/[^\w~]/g, "");
    for (const form of [token, btoa(`x${token}`).slice(2)].map((text) => text.replace(/\W/g, ""))) {
      for (let at = 0; at + 6 <= form.length; at++) {
        assertEquals(shown.includes(form.slice(at, at + 6)), false, error.message);
      }
    }
  }
});

apiTest("a Request brings method, headers, body and signal; init wins over it", async (context) => {
  const { session, api } = context;
  const input = `${api.apiHost}thing?a=1`;
  const own = { method: "PUT", headers: { "x-other": "1" }, body: "hello" };
  const echo = await (await session.fetch(new Request(input, own))).json();
  assertEquals(echo as Echo, { method: "PUT", path: "thing", query: { a: "1" }, body: "hello" });
  assertEquals(api.requests[0]?.headers["x-other"], "1");
  const other = await session.fetch(new Request(input, own), { method: "PATCH", body: "bye" });
  const { method, body } = await other.json() as Echo;
  assertEquals([method, body], ["PATCH", "bye"]);
  const bare = await session.fetch(new Request(input));
  assertEquals((await bare.json() as Echo).method, "GET");
  api.reset();
  const ended = new Request(input, { signal: AbortSignal.abort(new Error("enough")) });
  await assertRejects(() => session.fetch(ended));
  assertEquals(api.requests, []);
});

/** Shows the API's address by its parts, and another one as text. */
class TwoFacedUrl extends URL {
  override get href(): string {
    return "http://127.0.0.1:1/stolen";
  }
  override toString(): string {
    return this.href;
  }
}

apiTest("another origin gets nothing, however often it is asked for", async ({ session, api }) => {
  const twoFaced = new TwoFacedUrl("thing", api.apiHost);
  const other = new URL(api.otherOrigin).host;
  const slashes = ["//", "\\\\", "/\\", "\t//", "/\n/"].map((start) => `${start}${other}/x`);
  const texts = [api.otherOrigin, ` ${api.otherOrigin}/`, "https://example.com/", "x:y"];
  const urls = [new URL(api.otherOrigin), new Request(api.otherOrigin), twoFaced];
  const own = [`blob:${api.apiHost}`, api.apiHost.replace("//", "//user@")];
  for (const input of [...slashes, ...texts, ...urls, ...own, "data:text/plain,x"]) {
    for (let time = 0; time < 3; time++) {
      await rejectsWith("wrong_origin", () => session.fetch(input), new URL(api.apiHost).origin);
    }
    if (typeof input === "string") await rejectsWith("wrong_origin", () => session.get(input));
  }
  await rejectsWith("wrong_origin", () => session.headers({ url: twoFaced }));
  const put = () => session.fetch("https://api.example.com/x?token=hidden", { method: "PUT" });
  const { message } = await rejectsWith("wrong_origin", put, "PUT https://api.example.com/x");
  assertEquals(/hidden|globalThis/.test(message), false);
  const run = () => session.fetch("http://[?token=hidden");
  const error = await rejectsWith("invalid_options", run, "not a URL");
  assertEquals(error.message.includes("hidden"), false);
  assertEquals([api.requests, api.otherRequests], [[], []]);
});

for (const when of ["during a refresh", "before the retry after a 401"]) {
  apiTest(`a URL that changes ${when} leads nowhere else`, async (context) => {
    const { session, api, clock, provider } = context;
    const url = new URL("thing", api.apiHost);
    if (when === "during a refresh") clock.advance(3600_000);
    else api.script.push(() => json({}, 401));
    provider.script.token.push(() => {
      url.href = new URL("/stolen", api.otherOrigin).href;
      return provider.tokens();
    });
    assertEquals((await (await session.fetch(url)).json()).path, "thing");
    assertEquals([url.pathname, api.otherRequests], ["/stolen", []]);
  });
}

apiTest("no answer, or no end of its body, in time", async ({ session, api }) => {
  const words = ["200 ms", new URL(api.apiHost).origin];
  for (const use of [() => session.get("thing"), () => session.fetch("thing")]) {
    api.script.push(hang);
    const { cause } = await rejectsWith("api_unreachable", use, ...words);
    assertEquals(cause, undefined); // the message has it all
  }
  api.script.push(endless);
  await rejectsWith("api_unreachable", () => session.get("thing"), ...words);
}, { timeoutMs: 200 });

/** An answer that begins, and does not end before its request. */
function endless({ signal }: Request): Response {
  return new Response(
    new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("[1,"));
        signal.addEventListener("abort", () => controller.close());
      },
    }),
  );
}

apiTest("the caller's signal ends the wait for answer and body", async (context) => {
  const { session, api } = context;
  const reason = new Error("enough");
  for (const answer of [hang, endless]) {
    for (const use of ["get", "post"] as const) {
      const controller = new AbortController();
      const { signal } = controller;
      api.script.push((request) => {
        setTimeout(() => controller.abort(reason), 20);
        return answer(request);
      });
      const run = () =>
        use === "get" ? session.get("thing", {}, { signal }) : session.post("thing", { signal });
      assertEquals(await assertRejects(run), reason);
    }
  }
});

Deno.test("api: nobody listens there: the reason comes first, in words", async () => {
  const apiHost = `http://127.0.0.1:${freePort()}/`;
  await using session = await createSession({ apiKey: "k", apiSecret: "s", apiHost });
  const words = `Cannot GET ${apiHost}x: nothing answers at that host and port.`;
  await rejectsWith("api_unreachable", () => session.get("x"), words);
});

apiTest("a 401 for an API key leads to the key and the API", async ({ api }) => {
  const { apiHost } = api;
  await using session = await createSession({ apiKey: "k", apiSecret: "s", apiHost });
  await rejectsWith("unauthorized", () => session.get("x"), "Check apiKey", "apiHost");
});

apiTest("a failing fetch is no crash and shows no token", async ({ session }) => {
  const words = "the connection failed. Check";
  const error = await rejectsWith("api_unreachable", () => session.get("thing"), words);
  assertEquals(String(error.cause), "TypeError: no proxy");
}, {
  fetch: spyFetch((url, init) => {
    if (url.includes("thing")) throw new TypeError("no proxy");
    return fetch(url, init);
  }),
});

test("api: a session without apiHost sends nothing anywhere", async (world) => {
  const { apiHost: _, ...options } = world.options;
  const session = await createSession(options);
  assertEquals(session.apiHost, undefined);
  for (const run of [() => session.get("thing"), () => session.fetch(world.api.apiHost)]) {
    await rejectsWith("wrong_origin", run, "no API to send its token to", "Set apiHost");
  }
  Deno.env.set("VM_OIDC_CLIENT_ID", "another"); // so the options pass over the variables' API
  Deno.env.set("VM_API_HOST", world.api.apiHost);
  const passed = await createSession(options);
  const words = ["apiHost of the variables does not count", "another clientId", "Set apiHost"];
  await rejectsWith("wrong_origin", () => passed.get("thing"), ...words);
  assertEquals(world.api.requests, []);
});
