import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ProviderUnavailableError, ValidMindAuthError } from "../../../client/errors.ts";
import {
  DISCOVERY,
  type Endpoint,
  JWKS,
  providerFetch,
  REVOCATION,
  TOKEN,
} from "../../../client/provider/fetch.ts";
import { DEVICE } from "../../../client/provider/device_grant.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { hang, resetConnection, startHttpServer, truncated } from "../../support/http_server.ts";
import { runDeno } from "../../support/deno_process.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { OwnEnv } from "../../support/own_env.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const SECRET = "a-refresh-token-of-somebody";

interface CallOptions {
  endpoint?: Endpoint;
  url?: string;
  fetch?: typeof fetch;
  timeoutMs?: number;
  init?: RequestInit;
}

function call(options: CallOptions = {}): Promise<Response> {
  const { endpoint = TOKEN, url = "https://login.example.com/token", timeoutMs = 5_000 } = options;
  const { now, delay } = new FakeClock();
  const secrets = new Set<string>();
  const runtime = { fetch: options.fetch ?? fetch, now, elapsed: now, delay, timeoutMs, secrets };
  const body = new URLSearchParams({ refresh_token: SECRET });
  return providerFetch(endpoint, runtime)(url, options.init ?? { method: "POST", body });
}

async function unavailable(options: CallOptions, ...words: string[]) {
  const error = await assertRejects(() => call(options), ProviderUnavailableError);
  assertEquals(error.code, "provider_unavailable");
  for (const word of words) assertStringIncludes(error.message, word);
  assertNoSecret(error, [SECRET]);
  return error;
}

Deno.test("providerFetch: a good answer comes through as JSON, put right", async () => {
  const fetch = spyFetch(() => Response.json({ access_token: "a", expires_in: "5" }));
  const response = await call({ fetch });
  assertEquals(response.status, 200);
  assertEquals(response.headers.get("content-type"), "application/json");
  assertEquals(await response.json(), { access_token: "a", token_type: "Bearer", expires_in: 5 });
});

Deno.test("providerFetch: a form goes out as a Blob, which Deno sends only once", async () => {
  let sent: unknown;
  const fetch = spyFetch((_url, init) => {
    sent = init.body;
    return Response.json({ access_token: "a" });
  });
  await call({ fetch });
  assertEquals(sent instanceof Blob && await sent.text(), `refresh_token=${SECRET}`);
});

for (const status of [301, 302, 303, 307, 308]) {
  Deno.test(`providerFetch: a redirect with ${status} is refused and not followed`, async () => {
    let arrived = 0;
    await using server = await startHttpServer((request) => {
      if (new URL(request.url).pathname === "/elsewhere") arrived++;
      return new Response(null, { status, headers: { location: "/elsewhere" } });
    });
    for (const endpoint of [DISCOVERY, JWKS, DEVICE, TOKEN, REVOCATION]) {
      const init = { method: "POST", body: new URLSearchParams(), redirect: "manual" } as const;
      const url = `${server.origin}/token`;
      await unavailable({ endpoint, url, init }, url, "redirects elsewhere");
    }
    assertEquals(arrived, 0);
  });
}

Deno.test("providerFetch: no secret goes over http: off loopback", async () => {
  const fetch = spyFetch(() => Response.json({}));
  const run = () => call({ url: "http://login.example.com/token", fetch });
  await rejectsWith("insecure_url", run, "http://login.example.com", "token endpoint");
  assertEquals(fetch.urls, []);
});

Deno.test("providerFetch: JSON that is no object is no answer", async () => {
  for (const body of ["[]", "null", '"text"', "5", "", "{"]) {
    await unavailable({ fetch: spyFetch(() => new Response(body)) });
  }
});

Deno.test("providerFetch: an answer over 4 MiB is not read to the end", async () => {
  let chunks = 0;
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      chunks++;
      controller.enqueue(new Uint8Array(1024 * 1024));
    },
    cancel() {
      cancelled = true;
    },
  });
  const error = await unavailable({ fetch: spyFetch(() => new Response(body)) }, "4194304");
  assertStringIncludes(error.message, "https://login.example.com/token");
  assertEquals([chunks < 10, cancelled], [true, true]);
});

Deno.test("providerFetch: characters that span chunks are put together", async () => {
  const bytes = new TextEncoder().encode('{"access_token":"é東"}');
  const body = ReadableStream.from([...bytes].map((byte) => new Uint8Array([byte])));
  const response = await call({ fetch: spyFetch(() => new Response(body)) });
  assertEquals((await response.json()).access_token, "é東");
});

Deno.test("providerFetch: the time limit covers the wait for an answer", async () => {
  await using server = await startHttpServer(hang);
  await unavailable({ url: server.origin, timeoutMs: 30 }, "within 30 ms", server.origin);
});

Deno.test("providerFetch: the time limit covers a body that does not end", async () => {
  const endless = () => new Response(new ReadableStream({ pull: () => new Promise(() => {}) }));
  await unavailable({ fetch: spyFetch(endless), timeoutMs: 30 }, "within 30 ms");
});

Deno.test("providerFetch: the time limit covers a body that comes in drops", async () => {
  let timer: ReturnType<typeof setInterval> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      timer = setInterval(() => controller.enqueue(new Uint8Array([32])), 5);
    },
    cancel() {
      clearInterval(timer);
    },
  });
  await unavailable({ fetch: spyFetch(() => new Response(body)), timeoutMs: 30 }, "within 30 ms");
});

Deno.test("providerFetch: the time limit and the signal end a fetch that takes no signal", async () => {
  const deaf = () => spyFetch(() => new Promise<Response>(() => {}));
  await unavailable({ fetch: deaf(), timeoutMs: 30 }, "within 30 ms");
  const reason = new Error("enough");
  const controller = new AbortController();
  const init = { method: "POST", signal: controller.signal };
  const waiting = assertRejects(() => call({ fetch: deaf(), init }));
  controller.abort(reason);
  assertEquals(await waiting, reason);
});

Deno.test("providerFetch: a short secret does not change what an error decides", async () => {
  for (const secret of ["a", "grant", "pending", "client", "slow"]) {
    for (const error of ["invalid_grant", "authorization_pending", "invalid_client", "slow_down"]) {
      const init = { method: "POST", body: new URLSearchParams({ refresh_token: secret }) };
      const fetch = spyFetch(() => Response.json({ error }, { status: 400 }));
      assertEquals((await (await call({ fetch, init })).json()).error, error);
    }
  }
});

Deno.test("providerFetch: the caller's signal wins, with its reason", async () => {
  await using server = await startHttpServer(hang);
  const controller = new AbortController();
  const reason = new Error("enough");
  const init = { method: "POST", signal: controller.signal };
  const waiting = assertRejects(() => call({ url: server.origin, init }));
  controller.abort(reason);
  assertEquals(await waiting, reason);
});

Deno.test("providerFetch: connections that fail or break off", async () => {
  for (const answer of [resetConnection, () => truncated('{"access_token":')]) {
    await using server = await startHttpServer(answer);
    const error = await unavailable({ url: `${server.origin}/token?tenant=x` }, "broke off");
    assertStringIncludes(error.message, `${server.origin}/token:`); // without the query
  }
});

for (
  const [text, words] of [
    [
      "for url (https://tls.example/): client error (Connect): dns error: x",
      "the host name is not",
    ],
    [
      "for url (x): client error (Connect): tcp connect error: Connection refused",
      "nothing answers",
    ],
    ["for url (x): client error (Connect): tls handshake eof", "no secure connection (TLS)"],
    [": peer closed connection without sending TLS close_notify: https://docs.rs", "broke off"],
    ["client error (Connect): received corrupt message of type InvalidContentType", "speak https:"],
    ["client error (Connect): tunnel error: unsuccessful", "the proxy refused the connection"],
    ["client error (Connect): proxy authentication required", "a name and a password (407)"],
    [": received fatal alert: CertificateRequired", "wants a client certificate"],
    ["client error (Connect): tcp connect error: No route to host", "network does not reach"],
    ["client error (SendRequest): operation timed out", "did not answer in time"],
    ["for url (https://closed.example/): client error (Connect)", "the connection failed"],
  ] as const
) {
  Deno.test(`providerFetch: the reason comes first, in words: ${words}`, async () => {
    const cause = new Error(`error sending request ${text}`);
    const fetch = spyFetch(() => Promise.reject(new TypeError("fetch failed", { cause })));
    const { message } = await unavailable({ fetch }, `/token: `, words);
    assertEquals(message.includes("TypeError"), false);
  });
}

Deno.test("providerFetch: with a proxy, the host alone is not blamed", async () => {
  using _env = new OwnEnv({ HTTPS_PROXY: "http://127.0.0.1:1" });
  for (const text of ["dns error", "Connection refused"]) {
    const cause = new Error(`error sending request for url (x): client error (Connect): ${text}`);
    const fetch = spyFetch(() => Promise.reject(new TypeError("fetch failed", { cause })));
    await unavailable({ fetch }, "or it is the proxy of HTTPS_PROXY");
  }
});

Deno.test("providerFetch: what an injected fetch throws is no crash", async () => {
  const fetch = spyFetch(() => {
    throw new TypeError("no proxy");
  });
  const error = await unavailable({ fetch }, "the connection failed. Check", "HTTPS_PROXY");
  assertEquals(error.cause instanceof TypeError, true);
});

Deno.test("providerFetch: coded errors of an injected fetch stay as they are", async () => {
  const own = new ValidMindAuthError("permission_required", "Cannot: own");
  const fetch = spyFetch(() => Promise.reject(own));
  assertEquals(await assertRejects(() => call({ fetch })), own);
});

Deno.test("providerFetch: a network permission that the caller's own fetch lacks is named", async () => {
  const mod = new URL("../../../mod.ts", import.meta.url).href;
  const code = `
    import { createSession, MemoryCredentialsBackend } from ${JSON.stringify(mod)};
    try {
      await createSession({ issuer: "https://login.example.com:8443", clientId: "c",
        credentialsBackend: new MemoryCredentialsBackend(),
        fetch: (...request) => fetch(...request) });
    } catch (error) { console.log(error.code, error.message); }
  `;
  const { stdout } = await runDeno({ code });
  assertStringIncludes(stdout, "permission_required Cannot reach https://login.example.com:8443/");
  assertStringIncludes(stdout, "--allow-net=login.example.com:8443");
});

/** Ends of a connection after a whole body: broken off, and left open. */
const ENDS: [what: string, end: (controller: ReadableStreamDefaultController) => void][] = [
  ["broken off", (controller) => controller.error(new TypeError("connection reset"))],
  ["left open", () => {}],
];

for (const [what, end] of ENDS) {
  for (const [text, isWhole] of [['{"access_token":"a"}', true], ['{"access_token":"', false]]) {
    Deno.test(`providerFetch: ${text} counts only where it is whole, the connection ${what}`, async () => {
      let pulls = 0;
      const body = new ReadableStream({
        pull(controller) {
          if (pulls++ === 0) controller.enqueue(new TextEncoder().encode(text as string));
          else if (pulls === 2) end(controller);
          return pulls > 1 ? new Promise(() => {}) : undefined;
        },
      });
      const options = { fetch: spyFetch(() => new Response(body)), timeoutMs: 50 };
      if (!isWhole) return void await unavailable(options, "Cannot reach");
      assertEquals((await (await call(options)).json()).access_token, "a");
    });
  }
}

Deno.test("providerFetch: whole answers count over a real connection that ends badly", async () => {
  const body = '{"access_token":"a"}';
  const head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
  for (
    const answer of [
      `${head}content-length: 90\r\n\r\n${body}`,
      `${head}transfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n`,
    ]
  ) {
    using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    const served = listener.accept().then(async (connection) => {
      await connection.read(new Uint8Array(4096));
      await connection.write(new TextEncoder().encode(answer));
      connection.close();
    });
    const url = `http://127.0.0.1:${listener.addr.port}/token`;
    assertEquals((await (await call({ url })).json()).access_token, "a");
    await served;
  }
});

for (const status of [400, 401, 403]) {
  Deno.test(`providerFetch: ${status} without a body is a refusal of the client`, async () => {
    for (const endpoint of [DEVICE, TOKEN]) {
      const fetch = spyFetch(() => new Response(null, { status }));
      const run = () => call({ endpoint, fetch });
      const words = [`status ${status} without a word`, "clientId", "a proxy"];
      const error = await rejectsWith("provider_refused", run, ...words);
      assertEquals(error.oauthError, undefined);
      await unavailable({ endpoint, fetch: spyFetch(() => new Response("<p>", { status })) });
    }
  });
}

Deno.test("providerFetch: a revocation is done whatever its answer says", async () => {
  for (const body of ["", "OK", "{}", "<html>"]) {
    const response = await call({
      endpoint: REVOCATION,
      fetch: spyFetch(() => new Response(body)),
    });
    assertEquals([response.status, await response.text()], [200, "{}"]);
  }
});

Deno.test("providerFetch: Retry-After is kept", async () => {
  const headers = { "retry-after": "9" };
  const busy = spyFetch(() => new Response("busy", { status: 429, headers }));
  assertEquals((await unavailable({ fetch: busy })).retryAfterMs, 9_000);
  const slow = spyFetch(() => Response.json({ error: "slow_down" }, { status: 400, headers }));
  assertEquals((await call({ fetch: slow })).headers.get("retry-after"), "9");
  const plain = spyFetch(() => new Response("busy", { status: 429 }));
  assertEquals((await unavailable({ fetch: plain })).retryAfterMs, undefined);
});

Deno.test("providerFetch: an answer that came while the process stood still is read after the time limit", async () => {
  const standStill = spyFetch(() => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60);
    return new Promise((resolve) =>
      setTimeout(() => resolve(Response.json({ access_token: "a" })), 5)
    );
  });
  const response = await call({ fetch: standStill, timeoutMs: 20 });
  assertEquals((await response.json()).access_token, "a");
});
