import { assertEquals, assertRejects } from "@std/assert";
import { createSession, MemoryCredentialsBackend, ValidMindAuthError } from "@validmind/auth";
import { TOKEN } from "../../../client/provider/endpoint.ts";
import { providerFetch } from "../../../client/provider/fetch.ts";
import { rememberSecret } from "../../support/assert_no_secret.ts";
import { replace } from "../../support/replace.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { spyFetch } from "../../support/spy_fetch.ts";
import { OwnEnv } from "../../support/own_env.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { errorParts } from "../../support/error_parts.ts";

const SECRET = "a-refresh-token-of-somebody";

rememberSecret(SECRET);

interface CallOptions {
  url?: string;
  fetch?: typeof fetch;
  timeoutMs?: number;
  init?: RequestInit;
}

function call(options: CallOptions = {}): Promise<Response> {
  const { url = "https://login.example.com/token", timeoutMs = 5_000 } = options;
  const { now, delay } = new FakeClock();
  const secrets = new Set<string>();
  const runtime = { fetch: options.fetch ?? fetch, now, elapsed: now, delay, timeoutMs, secrets };
  const body = new URLSearchParams({ refresh_token: SECRET });
  return providerFetch(TOKEN, runtime)(url, options.init ?? { method: "POST", body });
}

const unavailable = (options: CallOptions, ...words: string[]) =>
  rejectsWith("provider_unavailable", () => call(options), ...words);

Deno.test("providerFetch: a form goes out as a Blob, which Deno sends only once; JSON is put right", async () => {
  let sent: unknown;
  const fetch = spyFetch((_url, init) => {
    sent = init.body;
    return new Response('{"access_token": "a", "expires_in": "5"}'); // as text/plain
  });
  const response = await call({ fetch });
  assertEquals([response.status, response.headers.get("content-type")], [200, "application/json"]);
  assertEquals(await response.json(), { access_token: "a", token_type: "Bearer", expires_in: 5 });
  assertEquals(sent instanceof Blob && await sent.text(), `refresh_token=${SECRET}`);
});

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

Deno.test("providerFetch: characters that span chunks are put together", async () => {
  const bytes = new TextEncoder().encode('{"access_token":"é東"}');
  const body = ReadableStream.from([...bytes].map((byte) => new Uint8Array([byte])));
  const response = await call({ fetch: spyFetch(() => new Response(body)) });
  assertEquals((await response.json()).access_token, "é東");
});

/** A body that comes in drops, without end. */
function drip(): ReadableStream<Uint8Array> {
  let timer: ReturnType<typeof setInterval> | undefined;
  return new ReadableStream({
    start(controller) {
      timer = setInterval(() => controller.enqueue(new Uint8Array([32])), 5);
    },
    cancel: () => clearInterval(timer),
  });
}

const SLOW: [what: string, fetch: () => Promise<Response> | Response][] = [
  ["an answer", () => new Promise(() => {})], // nor does this fetch look at its signal
  [
    "a body that does not end",
    () => new Response(new ReadableStream({ pull: () => new Promise(() => {}) })),
  ],
  ["a body that comes in drops", () => new Response(drip())],
];

for (const [what, slow] of SLOW) {
  Deno.test(`providerFetch: the time limit and the signal end the wait for ${what}`, async () => {
    const late = await unavailable({ fetch: spyFetch(slow), timeoutMs: 30 }, "within 30 ms");
    assertEquals(late.cause, undefined);
    const controller = new AbortController();
    const init = { method: "POST", signal: controller.signal };
    const waiting = call({ fetch: spyFetch(slow), init }).catch((reason) => reason);
    controller.abort("enough");
    assertEquals(await waiting, "enough");
  });
}

Deno.test("providerFetch: a short secret does not change what an error decides", async () => {
  for (const secret of ["a", "grant", "pending", "client", "slow"]) {
    for (const error of ["invalid_grant", "authorization_pending", "invalid_client", "slow_down"]) {
      const init = { method: "POST", body: new URLSearchParams({ refresh_token: secret }) };
      const fetch = spyFetch(() => Response.json({ error }, { status: 400 }));
      assertEquals((await (await call({ fetch, init })).json()).error, error);
    }
  }
});

const REASONS: [text: string, words: string][] = [
  ["for url (https://tls.example/): client error (Connect): dns error: x", "the host name is not"],
  ["for url (x): client error (Connect): tcp connect error: Connection refused", "nothing answers"],
  ["for url (x): client error (Connect): tls handshake eof", "a secure connection (TLS)"],
  [": peer closed connection without sending TLS close_notify: https://docs.rs", "ended before"],
  ["client error (Connect): received corrupt message of type InvalidContentType", "speak https:"],
  ["client error (Connect): tunnel error: unsuccessful", "the proxy refused the connection"],
  ["client error (Connect): proxy authentication required", "a name and a password (407)"],
  [": received fatal alert: CertificateRequired", "wants a client certificate"],
  ["client error (Connect): tcp connect error: No route to host", "network does not reach"],
  ["client error (SendRequest): operation timed out", "did not answer in time"],
  ["for url (https://closed.example/): client error (Connect)", "the connection failed"],
];

Deno.test("providerFetch: the reason of a connection that fails comes first, in words", async () => {
  const failing = (text: string) => {
    const cause = new Error(`error sending request ${text}`);
    return spyFetch(() => Promise.reject(new TypeError("fetch failed", { cause })));
  };
  for (const [text, words] of REASONS) {
    const said = ["/token: ", words, "Check this address"];
    const { message } = await unavailable({ fetch: failing(text) }, ...said);
    assertEquals(message.includes("TypeError"), false);
  }
  // Auth0 keeps its keys there, and the issuer is right.
  const url = "https://login.example.com/.well-known/jwks.json";
  await unavailable({ url, fetch: failing("x") }, "/jwks.json: ", "Check this address");
  using _env = new OwnEnv({ HTTPS_PROXY: "http://127.0.0.1:1" });
  for (const text of ["dns error", "Connection refused"]) {
    const fetch = failing(`for url (x): client error (Connect): ${text}`);
    await unavailable({ fetch }, "or the proxy of HTTPS_PROXY"); // not the host alone
  }
});

Deno.test("providerFetch: a redirect elsewhere ends no grant, whatever it says", async () => {
  const init = { status: 302, headers: { location: "https://portal.example.com/" } };
  const fetch = spyFetch(() => Response.json({ error: "invalid_grant" }, init));
  await unavailable({ fetch }, "it redirects");
});

Deno.test("providerFetch: coded errors of an injected fetch stay as they are", async () => {
  const own = new ValidMindAuthError("permission_required", errorParts("Cannot: own"));
  const fetch = spyFetch(() => Promise.reject(own));
  assertEquals(await assertRejects(() => call({ fetch })), own);
});

Deno.test("providerFetch: a network permission that the caller's own fetch lacks is named", {
  permissions: { env: true },
}, async () => {
  using _ = new OwnEnv();
  const run = () =>
    createSession({
      issuer: "https://login.example.com:8443",
      clientId: "c",
      credentialsBackend: new MemoryCredentialsBackend(),
      fetch: (...request) => fetch(...request),
    });
  const words = "Cannot reach https://login.example.com:8443/";
  await rejectsWith("permission_required", run, words, "--allow-net=login.example.com:8443");
});

/** Ends of a connection after a whole body: broken off, and left open. */
const ENDS: [what: string, end: (controller: ReadableStreamDefaultController) => void][] = [
  ["broken off", (controller) => controller.error(new TypeError("connection reset"))],
  ["left open", () => {}],
];

Deno.test("providerFetch: an answer counts only where it is whole, however its connection ends", async () => {
  for (const [what, end] of ENDS) {
    for (const text of ['{"access_token":"a"}', '{"access_token":"']) {
      let pulls = 0;
      const body = new ReadableStream({
        pull(controller) {
          if (pulls++ === 0) controller.enqueue(new TextEncoder().encode(text));
          else if (pulls === 2) end(controller);
          return pulls > 1 ? new Promise(() => {}) : undefined;
        },
      });
      const options = { fetch: spyFetch(() => new Response(body)), timeoutMs: 50 };
      if (!text.endsWith("}")) await unavailable(options, "Cannot reach");
      else assertEquals((await (await call(options)).json()).access_token, "a", what);
    }
  }
});

Deno.test("providerFetch: whole answers count over a real connection that ends badly", async () => {
  const body = '{"access_token":"a"}';
  const head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
  const answers = [
    `${head}content-length: 90\r\n\r\n${body}`,
    `${head}transfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n`,
  ];
  for (const answer of answers) {
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

Deno.test("providerFetch: an answer that came while the process stood still is read after the time limit", async () => {
  const standStill = spyFetch(() => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60);
    return new Promise((resolve) =>
      setTimeout(() => resolve(Response.json({ access_token: "a" })), 5)
    );
  });
  const { timeout } = AbortSignal;
  const times: number[] = [];
  using _ = replace(
    AbortSignal,
    "timeout",
    (ms) => (times.push(ms), timeout.call(AbortSignal, ms)),
  );
  const response = await call({ fetch: standStill, timeoutMs: 20 });
  assertEquals((await response.json()).access_token, "a");
  assertEquals(times, [20, 2000]);
});
