/** Requests to a Vault, or to what stands before one, that do not go well. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { VaultCredentialsBackend } from "../../../backends/vault.ts";
import { TIMER, type VaultCredentialsBackendOptions } from "../../../backends/vault/options.ts";
import type { CredentialsBackendErrorCode } from "../../../backends/credentials_backend_error.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { entry, KEY, SECRETS } from "../../support/entries.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { json, resetConnection, startHttpServer } from "../../support/http_server.ts";
import { makeLocalCa } from "../../support/local_ca.ts";
import { runDeno } from "../../support/deno_process.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { replace } from "../../support/replace.ts";
import { sandbox } from "../../support/sandbox.ts";
import { type ScriptedRequest, ScriptedVault } from "./scripted_vault.ts";

const { folder } = sandbox();
const TOKEN = "hvs.Kq3Zt8Lm2Wx7Rv5B";

type Answer = (request: ScriptedRequest) => Response | Promise<Response>;

/** A store of an open Vault that answers by these from now on, and then as Vault does. */
async function world(answers: Answer[], options: Partial<VaultCredentialsBackendOptions> = {}) {
  const vault = new ScriptedVault();
  const store = await vault.open({ auth: { method: "token", token: TOKEN }, ...options });
  await store.put(KEY, entry());
  vault.requests.length = 0;
  vault.before = (request) => answers.shift()?.(request);
  return { vault, store, delays: vault.clock.delays };
}

function status(code: number, errors: unknown[] = [], headers = {}): Answer {
  return () => json({ errors }, code, headers);
}
const text = (body: string, status = 200): Answer => () => new Response(body, { status });
const failed: Answer = (request) =>
  Promise.reject(Object.assign(new TypeError(`failed: ${JSON.stringify(request)}`), { request }));
const redirect = (location: string, status = 307): Answer => () =>
  new Response(null, { status, headers: { location } });

const PASSING: [what: string, answer: Answer, words: string][] = [
  ["412", status(412, ["required index state not present"]), "(required index state not present)"],
  ["429", status(429), "status 429,"],
  ["472", status(472), "status 472"],
  ["473", status(473), "status 473"],
  ["500", status(500, ["internal error"]), "status 500 (internal error)"],
  ["502 of a proxy", text("<html>Bad Gateway</html>", 502), "status 502"],
  ["503 sealed", status(503, ["Vault is sealed"]), "(Vault is sealed)"],
  ["400 of a KV engine that starts", status(400, ["Upgrading to versioned data"]), "status 400"],
  ["a removal that broke off", status(500, ["no version data"]), "(no version data)"],
  ["a dropped connection", () => Promise.reject(new TypeError("reset")), "ended before"],
  ["a given fetch that fails with the request on it", failed, "(TypeError)"],
  [
    "an answer that breaks off",
    () => new Response(new ReadableStream({ pull: (c) => c.error(new TypeError("cut")) })),
    "(TypeError)",
  ],
  ["a standby that names a dead node", redirect("http://127.0.0.1:9/v1/secret"), "active node"],
];

for (const [what, answer, words] of PASSING) {
  Deno.test(`Vault: a request is repeated after ${what}, up to the time limit`, async () => {
    const { vault, store, delays } = await world([answer, answer], { timeoutMs: 5_000 });
    assertEquals(await store.get(KEY), entry());
    assertEquals([vault.requests.length, delays.length], [3, 2]);
    const [first = 0, second = 0] = delays.splice(0);
    assert(first >= 50 && first <= 150 && second >= 100 && second <= 300);
    vault.before = answer;
    using _ = replace(Math, "random", () => 0.5);
    const all = ["Cannot read", "vault.example.com", words, "after 10 tries in 4500 ms"];
    const error = await rejectsWith("backend_unavailable", () => store.get(KEY), ...all);
    assertNoSecret(error, [TOKEN]);
    // The last try has what the waits leave of the limit: enough for an answer.
    assertEquals(delays, [100, 200, 300, 400, 500, 600, 700, 800, 900]);
  });
}

Deno.test("Vault: a last try has half a second, whatever the waits: else the known trouble is told", async () => {
  for (let run = 0; run < 20; run++) {
    const { vault, store } = await world([], { timeoutMs: 3_000 });
    const deadline = vault.clock.now() + 3_000;
    const left: number[] = [];
    vault.before = () => {
      left.push(deadline - vault.clock.now());
      return json({ errors: ["Vault is sealed"] }, 503);
    };
    await rejectsWith("backend_unavailable", () => store.get(KEY), "sealed");
    assert(left.length > 1 && left.every((ms) => Math.round(ms) >= 500), `${left}`);
  }
});

Deno.test("Vault: Retry-After is kept to, and too long a one is told at once", async () => {
  const after = (seconds: string) => status(429, [], { "retry-after": seconds });
  const { vault, store, delays } = await world([after("3"), after("0")]);
  await store.get(KEY);
  const [asked, ...others] = delays.splice(0);
  assertEquals([asked, others.length], [3_000, 2]);
  vault.before = after("60");
  await rejectsWith("backend_unavailable", () => store.get(KEY), "status 429");
  assertEquals(delays, []);
});

const LARGE = "put failed due to value being too large; got 2097283 bytes, max: 1048576 bytes";
const FINAL: [what: string, answer: Answer, code: CredentialsBackendErrorCode, words: string][] = [
  ["a page of a proxy", text("<html>Sign in</html>"), "backend_unavailable", "another server"],
  ["a page with 403", text("<html>no</html>", 403), "backend_unavailable", "another server"],
  ["an empty 404", text("", 404), "backend_unavailable", "404"],
  ["a 404 of a proxy", () => json({ message: "no Route" }, 404), "backend_unavailable", "404"],
  ["413", status(413), "backend_too_large", "storage"],
  ["a value too large for Raft", status(500, [LARGE]), "backend_too_large", "smaller tokens"],
  ["one for Consul", status(500, ["Value exceeds maximum size"]), "backend_too_large", "storage"],
  ["a redirect to nowhere", status(307), "backend_unavailable", "redirects to nowhere"],
  ["a way elsewhere", redirect("https://a.example/ui"), "backend_unavailable", "to a.example"],
  ["a choice of ways", redirect("https://a.example/v1/x", 300), "backend_unavailable", "to a.ex"],
  ["a way with the token", redirect(`x://${TOKEN}`), "backend_unavailable", "to [removed]"],
  ["a host with the token", redirect(`//${TOKEN}`), "backend_unavailable", "to [removed]"],
  ["a way by 302", redirect("https://a.example/v1/x", 302), "backend_unavailable", "to a.example"],
];

Deno.test("Vault: the body of a redirect is not waited for, and its connection is free", async () => {
  const { vault, store } = await world([]);
  const ended = Promise.withResolvers<void>();
  const body = new ReadableStream({ cancel: () => ended.resolve() });
  const headers = { location: "https://a.example/ui" };
  vault.before = () => new Response(body, { status: 307, headers });
  await rejectsWith("backend_unavailable", () => store.get(KEY));
  await ended.promise;
});

for (const [what, answer, code, words] of FINAL) {
  Deno.test(`Vault: a request is not repeated after ${what}, and never "not signed in"`, async () => {
    const { vault, store, delays } = await world([]);
    vault.before = answer;
    const uses = [
      () => store.put(KEY, entry()),
      () => store.get(KEY),
      () => store.delete(KEY),
      () => store.deleteAll(),
      () => Array.fromAsync(store.list()),
      () => store.withLock(KEY, () => Promise.resolve(), {}),
    ];
    for (const use of uses) {
      assertNoSecret(await rejectsWith(code, use, "Vault at vault.example.com", words), [TOKEN]);
    }
    assertEquals(delays, []);
    const requests = vault.requests.filter(({ path }) => !path.startsWith("auth/"));
    assertEquals(requests.length, uses.length);
  });
}

Deno.test("Vault: a 404 with an empty list of errors is Vault's for what is not there", async () => {
  const vault = new ScriptedVault();
  const store = await vault.open();
  vault.before = status(404);
  assertEquals([await store.get(KEY), await Array.fromAsync(store.list())], [undefined, []]);
});

Deno.test("Vault: its words on a failure are told, without what was sent", async () => {
  const quotes: [said: unknown, told: string][] = [
    ["disk on fire", "(disk on fire)"],
    ["no\u001b[2J handler for this", "(no [2J handler for this)"],
    [`bad token ${TOKEN.slice(3, 12)}`, "(bad token [removed])"],
    [`bad value ${SECRETS.access}`, "(bad value [removed])"],
    [7, ". "],
  ];
  for (const code of [400, 500]) {
    for (const [said, told] of quotes) {
      const { vault, store } = await world([]);
      vault.before = ({ method, path }) =>
        method === "POST" && path.includes("/data/") ? json({ errors: [said] }, code) : undefined;
      const put = () => store.put(KEY, entry());
      const words = [`status ${code}`, told];
      assertNoSecret(await rejectsWith("backend_unavailable", put, ...words), [TOKEN]);
    }
  }
});

Deno.test("Vault: the token goes in a header, to the address with its path, and nowhere else", async () => {
  const vault = new ScriptedVault();
  const urls: string[] = [];
  const headers: Headers[] = [];
  const store = await vault.open({
    address: "https://vault.example.com/vault/",
    namespace: "team-a/x",
    path: "users/a b/c?d#e%f/ü",
    auth: { method: "token", token: TOKEN },
    fetch: (input, init) => {
      urls.push(String(input));
      headers.push(new Headers(init?.headers));
      assertEquals([init?.redirect, String(input).includes(TOKEN)], ["manual", false]);
      return vault.fetch(String(input).replace("/vault/v1", "/v1"), init);
    },
  });
  vault.before = status(404);
  await store.get(KEY);
  const folder = "https://vault.example.com/vault/v1/secret/data/users/a%20b/c%3Fd%23e%25f/%C3%BC/";
  assert(urls.at(-1)!.startsWith(folder), urls.at(-1));
  for (const one of headers) {
    assertEquals(one.get("x-vault-token"), TOKEN);
    assertEquals([one.get("x-vault-request"), one.get("x-vault-namespace")], ["true", "team-a/x"]);
  }
});

Deno.test("Vault: no answer in time is backend_timeout, also where the signal is forgotten", async () => {
  const { vault, store } = await world([], { timeoutMs: 40 });
  vault.before = () => new Promise(() => {});
  const error = await rejectsWith("backend_timeout", () => store.get(KEY), "40 ms", "timeoutMs");
  assertNoSecret(error, [TOKEN]);
  let isOver = false;
  vault.before = () =>
    new Response(
      new ReadableStream({
        async pull(controller) { // drips
          await new Promise((resolve) => setTimeout(resolve, 5));
          if (!isOver) controller.enqueue(new Uint8Array(1).fill(32));
          else controller.close();
        },
      }),
    );
  await rejectsWith("backend_timeout", () => store.get(KEY), "40 ms");
  isOver = true;
  await new Promise((resolve) => setTimeout(resolve, 10));
});

Deno.test("Vault: a signal ends a request, and the wait for its repetition, with its reason", async () => {
  const reason = new Error("enough");
  for (const isAnswered of [true, false]) {
    const { vault, store } = await world([]);
    const abort = new AbortController();
    vault.before = () => {
      if (isAnswered) return json({ errors: [] }, 503);
      abort.abort(reason);
      return new Promise(() => {});
    };
    vault.clock.onDelay = () => abort.abort(reason);
    const lock = () => store.withLock(KEY, () => Promise.resolve(), { signal: abort.signal });
    assertEquals(await assertRejects(lock), reason);
    const { length } = vault.requests;
    assertEquals(await assertRejects(lock), reason);
    assertEquals([length, vault.requests.length], [1, 1]);
  }
});

Deno.test("Vault: an answer without end is another server's, packed or not, and nothing is kept of it", async () => {
  const block = new Uint8Array(1024 * 1024).fill(32);
  for (const gzip of [true, false]) {
    let left = 300;
    const endless = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        if (left-- > 0) controller.enqueue(block);
        else controller.close();
      },
    });
    await using server = await startHttpServer(({ url }) => {
      if (!url.includes("/data/")) return mounted();
      const packed = gzip ? endless.pipeThrough(new CompressionStream("gzip")) : endless;
      const headers = { ...(gzip && { "content-encoding": "gzip" }) };
      return new Response(packed, { headers });
    });
    const backend = open(server.origin);
    const before = Deno.memoryUsage().rss;
    await rejectsWith("backend_unavailable", () => backend.get(KEY), "another server");
    const grown = (Deno.memoryUsage().rss - before) / 1024 / 1024;
    assert(grown < 250, `${grown} MiB`);
    if (!gzip) assert(left > 260, `${300 - left} MiB were read`);
    await backend.close();
  }
});

function mounted(): Response {
  return json({ data: { type: "kv", path: "secret/", options: { version: "2" } } });
}

function open(address: string, options = {}): VaultCredentialsBackend {
  const auth = { method: "token", token: TOKEN } as const;
  return new VaultCredentialsBackend({ address, path: "x", auth, ...options });
}

Deno.test("Vault: a request on a kept connection that drops is not sent again behind our back", async () => {
  let requests = 0;
  await using server = await startHttpServer(({ url, method }) => {
    if (!url.includes("data/")) return mounted();
    if (method !== "POST") return json({ errors: [] }, 404);
    if (url.includes("/data/") && ++requests === 1) return resetConnection();
    return json({ data: { version: 1 } });
  });
  const backend = open(server.origin);
  await backend.put(KEY, entry());
  assertEquals(requests, 2);
  await backend.close();
});

Deno.test("Vault: over TLS no other trust is given, and what cannot pass is not tried again", async () => {
  const ca = await makeLocalCa();
  const { cert, key } = await ca.issue(["localhost"]);
  const answer = ({ url }: Request) =>
    url.includes("/data/") ? json({ errors: [] }, 404) : mounted();
  const own = { hostname: "127.0.0.1", port: 0, onListen() {} };
  await using server = Deno.serve({ ...own, cert, key }, answer);
  await using http = Deno.serve(own, answer);
  const address = `https://localhost:${server.addr.port}`;
  const caCert = `${folder()}/ca.pem`;
  Deno.writeTextFileSync(caCert, ca.cert, { mode: 0o644 });
  const trusting = open(address, { caCert });
  assertEquals(await trusting.get(KEY), undefined);
  await trusting.close();
  const timer = new FakeClock();
  const words = ["certificate", "VAULT_CACERT"];
  const distrusting = open(address, { [TIMER]: timer });
  await rejectsWith("backend_unavailable", () => distrusting.get(KEY), ...words);
  const plain = open(`https://127.0.0.1:${http.addr.port}`, { [TIMER]: timer });
  await rejectsWith("backend_unavailable", () => plain.get(KEY), "does not speak https:");
  assertEquals(timer.delays, []);
});

Deno.test("Vault: a file of certificates that holds none is invalid_options, and names it", async () => {
  const pem = (text: string) => `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`;
  const caCert = `${folder()}/ca.pem`;
  const get = () => open("https://vault.example.com", { caCert }).get(KEY);
  for (const text of ["", "0\u0082\u0001\ufffd", pem("AAAA"), pem("?")]) {
    Deno.writeTextFileSync(caCert, text, { mode: 0o644 });
    await rejectsWith("invalid_options", get, caCert, "PEM");
  }
  Deno.chmodSync(caCert, 0o666);
  await rejectsWith("backend_auth_failed", get, caCert, "others may write it");
});

Deno.test("Vault: without the permission to reach it the error names the flag, and the process ends", async () => {
  const jwtFile = `${folder()}/jwt`;
  Deno.writeTextFileSync(jwtFile, "a.b.c", { mode: 0o600 });
  const auth = { method: "jwt", role: "notebooks", jwtFile };
  const options = { address: "https://vault.example.com", path: "people/ada", auth };
  const { stdout } = await runDeno({
    flags: [`--allow-read=${jwtFile}`],
    code: `import { VaultCredentialsBackend } from "@validmind/auth/backends/vault";
      const store = new VaultCredentialsBackend(${JSON.stringify(options)});
      await store.get("k").catch(({ code, message }) => console.log(code, message));`,
  });
  assertMatch(stdout, /^permission_required .*--allow-net=vault\.example\.com:443\n$/);
});

Deno.test("Vault: a time limit may be longer than a timer", async () => {
  for (const timeoutMs of [2 ** 32, Infinity]) {
    const { store } = await world([], { timeoutMs });
    assertEquals(await store.get(KEY), entry());
  }
});

Deno.test("Vault: waits and times are those of the system, where no clock is given", async () => {
  const vault = new ScriptedVault();
  let failures = 1;
  vault.before = () => failures-- > 0 ? json({ errors: [] }, 503) : undefined;
  const backend = open("https://vault.example.com", { fetch: vault.fetch });
  const start = performance.now();
  assertEquals(await backend.get(KEY), undefined);
  assert(performance.now() - start >= 50);
});
