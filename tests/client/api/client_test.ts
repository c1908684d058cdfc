import { assertEquals, assertRejects } from "@std/assert";
import { ApiError } from "../../../client/errors.ts";
import { createSession } from "../../../client/create_session.ts";
import type { Session } from "../../../client/session.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { hang, json, resetConnection, truncated } from "../../support/http_server.ts";
import { freePort } from "../../support/servers/free_port.ts";
import type { ScriptedProvider } from "../../support/scripted_provider.ts";
import { type ProviderWorld, scriptedProviderWorld } from "../../support/provider_world.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { tokensOf } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

/** Turns a URL to another origin while the provider answers a refresh. */
function sendElsewhere(url: URL, origin: string, provider: ScriptedProvider) {
  let isAnswered = false;
  provider.script.token.push(() => {
    url.href = new URL("/stolen", origin).href;
    isAnswered = true;
    return provider.tokens();
  });
  return { answered: () => isAnswered };
}

interface Echo {
  method: string;
  path: string;
  query: Record<string, string>;
  body: unknown;
}

type Context = ProviderWorld<ScriptedProvider> & { session: Session };

/** A test with a session of its own. */
function apiTest(
  name: string,
  run: (context: Context) => Promise<void>,
  options: { timeoutMs?: number; fetch?: typeof fetch } = {},
): void {
  Deno.test(`api client: ${name}`, async () => {
    await using world = await scriptedProviderWorld();
    // On a busy machine a sign-in would not keep within the time limit of a test about it.
    if (options.timeoutMs !== undefined) await createSession(world.options);
    const session = await createSession({ ...world.options, ...options });
    await run(Object.assign(Object.create(world), { session }));
  });
}

apiTest("a path is taken relative to apiHost", async ({ session, api }) => {
  for (const path of ["thing", "./thing", new URL("thing", api.apiHost), `${api.apiHost}thing`]) {
    const response = await session.fetch(path);
    assertEquals((await response.json()).path, "thing");
  }
  assertEquals(await session.get("a/b%20c") as Echo, {
    method: "GET",
    path: "a/b%20c",
    query: {},
    body: "",
  });
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

apiTest("a form is URL-encoded, or multipart where it is a FormData", async ({ session, api }) => {
  const plain = { a: "1 & 2", b: "ü" };
  for (const form of [plain, new URLSearchParams(plain)]) {
    const { body } = await session.post("thing", { form }) as Echo;
    assertEquals(Object.fromEntries(new URLSearchParams(body as string)), plain);
    const type = api.requests.at(-1)!.headers["content-type"]!.replace(/\s/g, "").toLowerCase();
    assertEquals(type, "application/x-www-form-urlencoded;charset=utf-8");
  }
  const form = new FormData();
  form.set("file", new Blob(["content"]), "a.txt");
  const { body } = await session.post("thing", { form }) as Echo;
  assertEquals(/filename="a.txt"[^]*content/.test(body as string), true);
  assertEquals(api.requests.at(-1)?.headers["content-type"]?.startsWith("multipart/"), true);
});

apiTest("a form with a Blob in it is multipart", async ({ session, api }) => {
  const file = new File(["in a file"], "b.txt", { type: "text/plain" });
  const form = { note: "a & b", plain: new Blob(["in a blob"]), file };
  const { body } = await session.post("thing", { form }) as Echo;
  const type = api.requests.at(-1)!.headers["content-type"]!;
  const sent = await new Response(body as string, { headers: { "content-type": type } }).formData();
  assertEquals([sent.get("note"), await (sent.get("plain") as File).text()], [
    "a & b",
    "in a blob",
  ]);
  const received = sent.get("file") as File;
  assertEquals([received.name, received.type, await received.text()], [
    "b.txt",
    "text/plain",
    "in a file",
  ]);
});

apiTest("a body of any kind is sent once when the connection drops", async ({ session, api }) => {
  const form = new FormData();
  form.set("a", "1");
  for (
    const options of [{ json: {} }, { form: { a: "1" } }, { form }, { form: { a: new Blob() } }]
  ) {
    await session.get("thing"); // so that the connection is a kept one, which fetch tries again
    api.reset();
    api.script.push(() => resetConnection(), () => json({}));
    await rejectsWith("api_unreachable", () => session.post("thing", options));
    assertEquals(api.requests.length, 1);
    api.script.length = 0;
  }
});

apiTest("json and form together are a mistake", async ({ session, api }) => {
  const run = () => session.post("thing", { json: {}, form: {} });
  await rejectsWith("invalid_options", run, "json and form");
  assertEquals(api.requests, []);
});

apiTest("an empty answer is undefined", async ({ session, api }) => {
  api.script.push(() => new Response(null, { status: 204 }), () => new Response("", {}));
  assertEquals(await session.get("thing"), undefined);
  assertEquals(await session.post("thing"), undefined);
});

apiTest("an answer that is no JSON is an ApiError", async ({ session, api }) => {
  api.script.push(() => new Response("<html>Sign in</html>"));
  const error = await assertRejects(() => session.get("thing"), ApiError);
  assertEquals([error.status, error.code, error.body], [200, "api_error", "<html>Sign in</html>"]);
  assertEquals(error.message.includes(api.apiHost), true);
});

apiTest("an error status is an ApiError with the beginning of the answer", async ({ session }) => {
  const error = await assertRejects(() => session.get("error?status=502"), ApiError);
  assertEquals([error.status, error.code, error.body.length], [502, "api_error", 2000]);
  assertEquals(error.body.startsWith("<!DOCTYPE html>"), true);
  assertEquals(error.message.length < 500, true);
  assertEquals(/[\r\n]/.test(error.message), false);
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

apiTest("an echo of the bearer is taken out of the error", async (context) => {
  const { session, api } = context;
  api.script.push((request) => json({ sent: [...request.headers], pad: "x".repeat(5000) }, 400));
  const error = await assertRejects(() => session.post("thing", { json: {} }), ApiError);
  assertEquals(error.body.includes("[removed]"), true);
  assertNoSecret(error, tokensOf(context.stored()));
});

apiTest("fetch gives the answer as it is, whatever the status", async ({ session }) => {
  const response = await session.fetch("error?status=418");
  assertEquals([response.status, (await response.text()).length > 5000], [418, true]);
});

apiTest("own headers win over the caller's, others are kept", async ({ session, api }) => {
  const headers = { authorization: "Bearer mine", "x-other": "1" };
  await (await session.fetch("thing", { headers })).body?.cancel();
  const sent = api.requests[0]!.headers;
  assertEquals(sent["x-other"], "1");
  assertEquals(api.requests[0]?.status, 200); // so the bearer is the session's
});

apiTest(
  "a Request brings method, headers and body; init wins over it",
  async ({ session, api }) => {
    const input = `${api.apiHost}thing?a=1`;
    const request = () =>
      new Request(input, { method: "PUT", headers: { "x-other": "1" }, body: "hello" });
    const echo = await (await session.fetch(request())).json() as Echo;
    assertEquals([echo.method, echo.path, echo.query, echo.body], [
      "PUT",
      "thing",
      { a: "1" },
      "hello",
    ]);
    assertEquals(api.requests[0]?.headers["x-other"], "1");
    const other = await session.fetch(request(), { method: "PATCH", body: "bye" });
    const { method, body } = await other.json() as Echo;
    assertEquals([method, body], ["PATCH", "bye"]);
    const bare = await session.fetch(new Request(input));
    assertEquals((await bare.json() as Echo).method, "GET");
  },
);

apiTest("a Request's signal ends it", async ({ session, api }) => {
  const reason = new Error("enough");
  const request = new Request(`${api.apiHost}thing`, { signal: AbortSignal.abort(reason) });
  await assertRejects(() => session.fetch(request));
  assertEquals(api.requests, []);
});

apiTest("another origin gets nothing", async ({ session, api }) => {
  const fetch = [api.otherOrigin, "https://example.com/", "//example.com/x", "http://localhost:1/"];
  for (const input of [...fetch, new URL(api.otherOrigin), new Request(api.otherOrigin)]) {
    await rejectsWith("wrong_origin", () => session.fetch(input), new URL(api.apiHost).origin);
  }
  await rejectsWith("wrong_origin", () => session.get("https://example.com/"), "example.com");
  await rejectsWith("wrong_origin", () => session.fetch("data:text/plain,x"));
  assertEquals([api.requests, api.otherRequests], [[], []]);
});

apiTest("the same origin beside apiHost's path is fine", async ({ session, api }) => {
  const response = await session.fetch("/elsewhere");
  await response.body?.cancel();
  assertEquals(api.requests[0]?.path, "/elsewhere");
});

apiTest("what is no URL, and is not shown", async ({ session }) => {
  const run = () => session.fetch("http://[?token=hidden");
  const error = await rejectsWith("invalid_options", run, "not a URL");
  assertEquals(error.message.includes("hidden"), false);
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

apiTest("a URL that shows another address than it sends", async ({ session, api }) => {
  const url = new TwoFacedUrl("thing", api.apiHost);
  for (const use of [() => session.fetch(url), () => session.headers({ url })]) {
    await rejectsWith("wrong_origin", use);
  }
  assertEquals(api.requests, []);
});

apiTest("a URL that changes during a refresh", async ({ session, api, clock, provider }) => {
  const url = new URL("thing", api.apiHost);
  clock.advance(3600_000);
  const { answered } = sendElsewhere(url, api.otherOrigin, provider);
  assertEquals((await (await session.fetch(url)).json()).path, "thing");
  assertEquals([answered(), api.otherRequests], [true, []]);
});

apiTest("a URL that changes before the retry after a 401", async ({ session, api, provider }) => {
  const url = new URL("thing", api.apiHost);
  api.script.push(() => json({}, 401));
  const { answered } = sendElsewhere(url, api.otherOrigin, provider);
  assertEquals((await (await session.fetch(url)).json()).path, "thing");
  assertEquals([answered(), api.otherRequests], [true, []]);
});

apiTest("an error of the API has no piece of the token", async ({ session, api }) => {
  const token = await session.accessToken();
  const pieces = token.match(/.{1,10}/g)!;
  const echoes = [token.slice(1), pieces.join("\n"), JSON.stringify(pieces), btoa(`x${token}`)];
  for (const echo of echoes) {
    api.script.push(() => new Response(`refused: ${echo}`, { status: 403 }));
    const error = await assertRejects(() => session.get("thing"), ApiError);
    const shown = `${error.message} ${error.body}`.replace(/\W/g, "");
    for (const form of [token, btoa(`x${token}`).slice(2)].map((text) => text.replace(/\W/g, ""))) {
      for (let at = 0; at + 6 <= form.length; at++) {
        assertEquals(shown.includes(form.slice(at, at + 6)), false, error.message);
      }
    }
  }
});

apiTest("no answer in time", async ({ session, api }) => {
  for (const use of [() => session.get("thing"), () => session.fetch("thing")]) {
    api.script.push(hang);
    const words = ["50 ms", new URL(api.apiHost).origin];
    await rejectsWith("api_unreachable", use, ...words);
  }
}, { timeoutMs: 50 });

Deno.test("api client: a fetch of the caller's that does not look at its signal ends in time, too", async () => {
  await using world = await scriptedProviderWorld();
  const never = Promise.withResolvers<Response>();
  const fetch: typeof globalThis.fetch = (input, init) =>
    String(input).startsWith(world.api.apiHost) ? never.promise : globalThis.fetch(input, init);
  const session = await createSession({ ...world.options, fetch, timeoutMs: 1000 });
  const reason = new Error("enough");
  const controller = new AbortController();
  const { signal } = controller;
  const aborted = assertRejects(() => session.fetch("thing", { signal }));
  controller.abort(reason);
  assertEquals(await aborted, reason);
  await using hurried = await createSession({ ...world.options, fetch, timeoutMs: 20 });
  await rejectsWith("api_unreachable", () => hurried.fetch("thing"), "20 ms");
  await rejectsWith("api_unreachable", () => hurried.get("thing"), "20 ms");
});

apiTest("a body that does not end in time", async ({ session, api }) => {
  api.script.push((request) => {
    const gone = Promise.withResolvers<void>();
    request.signal.addEventListener("abort", () => gone.resolve());
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        controller.enqueue(new TextEncoder().encode("[1,"));
        await gone.promise;
        controller.close();
      },
    });
    return new Response(body);
  });
  await rejectsWith("api_unreachable", () => session.get("thing"), "50 ms");
}, { timeoutMs: 50 });

apiTest(
  "the caller's signal ends the wait for answer and body, with its reason",
  async (context) => {
    const { session, api } = context;
    const reason = new Error("enough");
    const endless = () =>
      new Response(
        new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array([91])) }),
      );
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
  },
);

apiTest("a connection that drops or breaks off", async ({ session, api }) => {
  const origin = new URL(api.apiHost).origin;
  api.script.push(() => resetConnection(), () => resetConnection());
  await rejectsWith("api_unreachable", () => session.post("thing", { json: {} }), origin);
  api.script.length = 0;
  api.script.push(() => truncated("[1,"));
  await rejectsWith("api_unreachable", () => session.get("thing"), "/api/v1/tracking/thing");
});

Deno.test("api client: nobody listens there: the reason comes first, in words", async () => {
  const apiHost = `http://127.0.0.1:${freePort()}/`;
  await using session = await createSession({ apiKey: "k", apiSecret: "s", apiHost });
  const words = `Cannot reach ${apiHost}x: nothing answers at that host and port.`;
  await rejectsWith("api_unreachable", () => session.get("x"), words);
});

apiTest("a failing fetch is no crash and shows no token", async ({ session }) => {
  const words = "the connection failed. Check";
  const error = await rejectsWith("api_unreachable", () => session.get("thing"), words);
  assertEquals(error.cause instanceof TypeError, true);
}, {
  fetch: spyFetch((url, init) => {
    if (url.includes("thing")) throw new TypeError("no proxy");
    return fetch(url, init);
  }),
});

Deno.test("api client: a session without apiHost sends nothing anywhere", async () => {
  await using world = await scriptedProviderWorld();
  const { apiHost: _, ...options } = world.options;
  const session = await createSession(options);
  assertEquals(session.apiHost, undefined);
  for (const run of [() => session.get("thing"), () => session.fetch(world.api.apiHost)]) {
    await rejectsWith("wrong_origin", run, "no API to send its token to", "Set apiHost");
  }
  assertEquals(world.api.requests, []);
});
