// What a real Vault does not do when it is told to: a stand-in does it.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { VaultClient } from "../../../backends/vault/client.ts";
import { encodePath, type VaultRequest } from "../../../backends/vault/client.ts";
import { vaultConnection } from "../../../backends/vault/options.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { startFaultyProxy } from "../../support/faulty_proxy.ts";
import {
  hang,
  type HttpHandler,
  json,
  resetConnection,
  startHttpServer,
  truncated,
} from "../../support/http_server.ts";
import { makeLocalCa } from "../../support/local_ca.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const TOKEN = "hvs.Kq3Zt8Lm2Wx7Rv5B";
/** Makes an answer the last one. */
const TOO_LATE = { "retry-after": "3600" };
const OK = json({ data: { ok: true } });
const READ: VaultRequest = { action: "read", method: "GET", path: "secret/data/x", token: TOKEN };
const WRITE: VaultRequest = { ...READ, method: "POST", body: { data: { a: "Yz6Hc1Nd4Pb9Sg2T" } } };

interface World extends AsyncDisposable {
  client: VaultClient;
  clock: FakeClock;
  requests: Request[];
  origin: string;
}

/** A client of a server that answers one request after the other by these, and then with `OK`. */
async function world(
  script: (Response | HttpHandler)[],
  { timeoutMs = 15_000, suffix = "", given = fetch } = {},
): Promise<World> {
  const requests: Request[] = [];
  const server = await startHttpServer((request) => {
    requests.push(request.clone());
    const next = script.shift() ?? OK.clone();
    return next instanceof Response ? next : next(request);
  });
  const clock = new FakeClock();
  const { origin } = server;
  const connection = vaultConnection({ path: "x", address: `${origin}${suffix}` });
  const client = new VaultClient(connection, undefined, { fetch: given, timer: clock, timeoutMs });
  return {
    client,
    clock,
    requests,
    origin,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function status(code: number, errors: string[] = [], headers = {}): Response {
  return json({ errors }, code, headers);
}

const PASSING: [what: string, answer: () => Response | HttpHandler][] = [
  ["412", () => status(412, ["required index state not present"])],
  ["429 without a header", () => status(429)],
  ["472", () => status(472)],
  ["473", () => status(473)],
  ["500", () => status(500, ["internal error"])],
  ["502 of a proxy", () => new Response("<html>Bad Gateway</html>", { status: 502 })],
  ["503 sealed", () => status(503, ["Vault is sealed"])],
  ["504", () => new Response("", { status: 504 })],
  [
    "400 of a KV engine that starts",
    () =>
      status(400, [
        "Upgrading from non-versioned to versioned data. This backend will be unavailable",
      ]),
  ],
  ["a dropped connection", resetConnection],
  ["an answer that breaks off", () => truncated('{"data":')],
];

for (const [what, answer] of PASSING) {
  Deno.test(`a request is repeated after ${what}`, async () => {
    await using here = await world([answer(), answer()]);
    assertEquals((await here.client.request(WRITE)).body, { data: { ok: true } });
    const bodies = await Promise.all(here.requests.map((request) => request.text()));
    assertEquals(bodies, Array(3).fill(JSON.stringify(WRITE.body)));
    assertEquals(here.clock.delays.length, 2);
    const [first = 0, second = 0] = here.clock.delays;
    assert(first >= 50 && first <= 100 && second >= 100 && second <= 200);
  });

  Deno.test(`after the time limit, ${what} is backend_unavailable`, async () => {
    await using here = await world(Array.from({ length: 40 }, answer), { timeoutMs: 5_000 });
    // The last try has what the waits leave of the limit, by a real timer: enough for an answer.
    using _ = halfRandom();
    const error = await rejectsWith(
      "backend_unavailable",
      () => here.client.request(WRITE),
      "Vault at",
    );
    assertNoSecret(error, [TOKEN, "Yz6Hc1Nd4Pb9Sg2T"]);
    assertEquals(here.clock.delays, [75, 150, 300, 600, 1200, 1500]);
  });
}

/** Has `Math.random` give a half until it is disposed of. */
function halfRandom(): Disposable {
  const { random } = Math;
  Math.random = () => 0.5;
  return { [Symbol.dispose]: () => void (Math.random = random) };
}

Deno.test("a last try has half a second, whatever the waits: else the known trouble is told", async () => {
  for (let run = 0; run < 20; run++) {
    const clock = new FakeClock();
    const deadline = clock.now() + 3_000;
    const left: number[] = [];
    const given = () => {
      left.push(deadline - clock.now());
      return Promise.resolve(status(503, ["Vault is sealed"]));
    };
    const connection = vaultConnection({ path: "x", address: "http://127.0.0.1:9" });
    const options = { fetch: given as typeof fetch, timer: clock, timeoutMs: 3_000 };
    const client = new VaultClient(connection, undefined, options);
    await rejectsWith("backend_unavailable", () => client.request(READ), "sealed");
    assert(left.length > 1 && left.every((ms) => ms > 500), `${left}`);
  }
});

Deno.test("a request on a kept connection that drops is not sent again behind our back", async () => {
  await using here = await world([OK.clone(), resetConnection()]);
  await here.client.request(WRITE);
  await here.client.request(WRITE);
  assertEquals([here.requests.length, here.clock.delays.length], [3, 1]);
});

Deno.test("Retry-After is kept to, and too long a one is told at once", async () => {
  await using here = await world([
    status(429, [], { "retry-after": "3" }),
    status(503, [], { "retry-after": "0" }),
    OK.clone(),
    status(429, [], { "retry-after": "60" }),
  ]);
  await here.client.request(READ);
  const [first, second = 0] = here.clock.delays;
  assertEquals(first, 3_000);
  assert(second > 0, "a wait of nothing would be a storm");
  await rejectsWith("backend_unavailable", () => here.client.request(READ), "status 429");
  assertEquals(here.clock.delays.length, 2);
});

const FINAL: [what: string, answer: Response, code: "backend_unavailable" | "backend_too_large"][] =
  [
    ["a page of a proxy", new Response("<html>Sign in</html>"), "backend_unavailable"],
    ["a page with 403", new Response("<html>no</html>", { status: 403 }), "backend_unavailable"],
    ["413", status(413), "backend_too_large"],
    [
      "a value too large for Raft",
      status(500, [
        "put failed due to value being too large; got 2097283 bytes, max: 1048576 bytes",
      ]),
      "backend_too_large",
    ],
    ["one too large for Consul", status(500, ["Value exceeds maximum size"]), "backend_too_large"],
    ["a redirect to nowhere", status(307), "backend_unavailable"],
  ];

for (const [what, answer, code] of FINAL) {
  Deno.test(`a request is not repeated after ${what}: ${code}`, async () => {
    await using here = await world([answer]);
    const error = await rejectsWith(code, () => here.client.request(WRITE), "Vault at 127.0.0.1:");
    assertNoSecret(error, [TOKEN, "Yz6Hc1Nd4Pb9Sg2T"]);
    assertEquals(here.requests.length, 1);
  });
}

Deno.test("a server that does not speak https: is asked once, and named as such", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => OK.clone(),
  );
  const address = `https://127.0.0.1:${server.addr.port}`;
  const timer = new FakeClock();
  const given = vaultConnection({ path: "x", address });
  const client = new VaultClient(given, undefined, { fetch, timer, timeoutMs: 15_000 });
  const ask = () => client.request(READ);
  await rejectsWith("backend_unavailable", ask, "does not speak https:", "its address");
  assertEquals(timer.delays, []);
});

for (const fault of ["answer lost", "answer cut"] as const) {
  Deno.test(`a connection over TLS that breaks off is made again: ${fault}`, async () => {
    const ca = await makeLocalCa();
    const { cert, key } = await ca.issue(["localhost"]);
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, cert, key, onListen() {} },
      () => OK.clone(),
    );
    await using proxy = startFaultyProxy(() => server.addr.port);
    const faults = [fault];
    proxy.choose = () => faults.pop() ?? "none";
    const address = `https://${proxy.address.replace("127.0.0.1", "localhost")}`;
    const timer = new FakeClock();
    const given = vaultConnection({ path: "x", address });
    const client = new VaultClient(given, ca.cert, { fetch, timer, timeoutMs: 15_000 });
    assertEquals((await client.request(READ)).status, 200);
    assertEquals([proxy.met[fault], timer.delays.length], [1, 1]);
    client.close();
  });
}

Deno.test("a file of certificates that holds none is invalid_options, and names it", async () => {
  const pem = (text: string) => `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`;
  for (const text of ["", "0\u0082\u0001\ufffd", pem("AAAA"), pem("?")]) {
    const options = {
      path: "x",
      address: "https://vault.example.com",
      caCert: "/etc/vault-ca.pem",
    };
    const timer = new FakeClock();
    const open = () =>
      new VaultClient(vaultConnection(options), text, { fetch, timer, timeoutMs: 10 }).close();
    await rejectsWith("invalid_options", open, "/etc/vault-ca.pem", "PEM");
  }
});

Deno.test("other answers are the caller's business", async () => {
  await using here = await world([
    status(400, ["x"]),
    status(403),
    status(404),
    new Response(null, { status: 204 }),
  ]);
  const statuses = [];
  for (let i = 0; i < 4; i++) statuses.push((await here.client.request(READ)).status);
  assertEquals(statuses, [400, 403, 404, 204]);
  assertEquals(here.clock.delays, []);
});

Deno.test("Vault's words on a failure are told, without what was sent", async () => {
  for (
    const [said, told] of [
      ["disk on fire", "(disk on fire)"],
      [`bad token ${TOKEN.slice(3, 12)}`, "(bad token [removed])"],
      ['bad value "Yz6Hc1Nd', "(bad value [removed])"],
    ] as const
  ) {
    await using here = await world([status(500, [said], TOO_LATE)]);
    await rejectsWith("backend_unavailable", () => here.client.request(WRITE), told);
  }
});

Deno.test("the token goes in a header, to the address with its path, and over no redirect elsewhere", async () => {
  let leaked = 0;
  await using other = await startHttpServer((request) => {
    if (request.headers.get("x-vault-token") !== null) leaked++;
    return OK.clone();
  });
  const to = (location: string, code = 307) => () =>
    new Response(null, { status: code, headers: { location } });
  const { host } = new URL(other.origin);
  const strays = [
    to(`${other.origin}/ui/login`),
    to(`//${host}/ui/login`),
    to(`${other.origin}/v1/x`, 302),
  ];
  await using here = await world([...strays], { suffix: "/vault" });
  for (const _ of strays) {
    const read = () => here.client.request(READ);
    await rejectsWith("backend_unavailable", read, `redirects to ${host}`);
  }
  assertEquals([here.requests.length, here.clock.delays], [3, []]);
  assertEquals(leaked, 0);
  const [first] = here.requests;
  assertEquals(new URL(first!.url).pathname, "/vault/v1/secret/data/x");
  assertEquals(first!.headers.get("x-vault-token"), TOKEN);
  assertEquals(first!.headers.get("x-vault-request"), "true");
});

Deno.test("a standby that names a dead node is asked again until another one is active", async () => {
  const stray = (location: string) => () =>
    new Response(null, { status: 307, headers: { location } });
  const dead = stray("http://127.0.0.1:9/v1/secret/data/x");
  await using here = await world([dead, dead, dead]);
  assertEquals((await here.client.request(WRITE)).status, 200);
  assertEquals([here.requests.length, here.clock.delays.length], [4, 3]);
  for (const location of ["http://127.0.0.1:9/v1/secret/data/x", "/v1/secret/data/x"]) {
    await using there = await world(Array.from({ length: 99 }, () => stray(location)));
    const from = there.clock.now();
    await rejectsWith(
      "backend_unavailable",
      () => there.client.request(READ),
      "redirects",
      "address of the active node",
    );
    const waited = there.clock.now() - from;
    assert(waited > 10_000 && waited < 15_000, `${waited}`);
  }
});

Deno.test("no answer, and none of a fetch that forgets its signal, is backend_timeout", async () => {
  const forgetful = (() => new Promise(() => {})) as typeof fetch;
  for (const given of [fetch, forgetful]) {
    await using here = await world([hang], { timeoutMs: 40, given });
    const error = await rejectsWith("backend_timeout", () => here.client.request(READ), "40 ms");
    assertNoSecret(error, [TOKEN]);
    const less = { ...READ, timeoutMs: 20 };
    await using there = await world([hang], { timeoutMs: 5_000, given });
    await rejectsWith("backend_timeout", () => there.client.request(less), "20 ms");
  }
});

Deno.test("an answer without end is another server's, packed or not, and nothing is kept of it", async () => {
  const block = new Uint8Array(1024 * 1024).fill(32);
  let left = 0;
  const endless = () =>
    new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        if (left-- > 0) controller.enqueue(block);
        else controller.close();
      },
    });
  const packed = () => endless().pipeThrough(new CompressionStream("gzip"));
  for (const gzip of [true, false]) {
    left = 400;
    const headers = {
      "content-type": "application/json",
      ...(gzip && { "content-encoding": "gzip" }),
    };
    await using here = await world([() => new Response(gzip ? packed() : endless(), { headers })]);
    const before = Deno.memoryUsage().rss;
    await rejectsWith("backend_unavailable", () => here.client.request(READ), "without end");
    const grown = (Deno.memoryUsage().rss - before) / 1024 / 1024;
    assert(grown < 250, `${grown} MiB`);
    assertEquals(here.clock.delays, []);
  }
});

Deno.test("an answer that drips is backend_timeout", async () => {
  const timers: ReturnType<typeof setTimeout>[] = [];
  const drip = () =>
    new Response(
      new ReadableStream({
        async pull(controller) {
          await new Promise((resolve) => timers.push(setTimeout(resolve, 5)));
          controller.enqueue(new Uint8Array(1).fill(32));
        },
      }),
    );
  await using here = await world([drip], { timeoutMs: 100 });
  await rejectsWith("backend_timeout", () => here.client.request(READ), "100 ms");
  timers.forEach(clearTimeout); // an answer that came too late is not read
});

Deno.test("a signal ends a request, and the wait for its repetition, with its reason", async () => {
  const reason = new Error("enough");
  const abort = new AbortController();
  await using here = await world([(request) => {
    abort.abort(reason);
    return hang(request);
  }]);
  const run = () => here.client.request({ ...READ, signal: abort.signal });
  assertEquals(await assertRejects(run), reason);
  assertEquals(await assertRejects(run), reason);
  assertEquals(here.requests.length, 1);
  const later = new AbortController();
  await using there = await world([status(503)]);
  there.clock.onDelay = () => later.abort(reason);
  const again = () => there.client.request({ ...READ, signal: later.signal });
  assertEquals(await assertRejects(again), reason);
});

Deno.test("an error of a given fetch, which may hold the request, is not passed on", async () => {
  const given = ((url: string, init: RequestInit) => {
    throw Object.assign(new TypeError(`failed: ${JSON.stringify(init.headers)}`), { url, init });
  }) as unknown as typeof fetch;
  await using here = await world([], { timeoutMs: 10, given });
  const error = await rejectsWith("backend_unavailable", () => here.client.request(WRITE));
  assertNoSecret(error, [TOKEN, "Yz6Hc1Nd4Pb9Sg2T"]);
});

Deno.test(
  "without the permission to reach it the error names the flag",
  { permissions: "none" },
  async () => {
    const address = "https://vault.example.com";
    const connection = vaultConnection({
      path: "x",
      address,
    });
    const timer = new FakeClock();
    const client = new VaultClient(connection, undefined, { fetch, timer, timeoutMs: 10 });
    const flag = "--allow-net=vault.example.com:443";
    await rejectsWith("permission_required", () => client.request(READ), flag);
  },
);

Deno.test("encodePath keeps the slashes and nothing else that a URL would understand", {
  permissions: "none",
}, () => {
  assertEquals(encodePath("users/anna"), "users/anna");
  assertEquals(encodePath("a b/c?d#e%f/ü"), "a%20b/c%3Fd%23e%25f/%C3%BC");
});
