import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { ValidMindAuthError } from "../../../client/errors.ts";
import { resolveRedirect } from "../../../client/options/browser_options.ts";
import { BrowserAnswer } from "../../../client/sign_in/browser_answer.ts";
import { RedirectListener } from "../../../client/sign_in/redirect_listener.ts";
import { rawRequest } from "../../support/browser_flow.ts";
import { OwnEnv } from "../../support/own_env.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const STATE = "s".repeat(43);
const LINK = "https://login.example.com/authorize?state=x";
const ISSUER = "https://login.example.com";

function listen(options: { redirectUri?: string; listen?: string } = {}) {
  using _env = new OwnEnv();
  const listener = RedirectListener.open(resolveRedirect(options, ISSUER, "sign in"));
  const answer = new BrowserAnswer(STATE);
  const others = { count: 0 };
  listener.expect(answer, LINK, () => others.count++);
  return { listener, answer, others, url: `${listener.redirectUri}?code=c&state=${STATE}` };
}

/** A free port. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function statusOf(text: string): number {
  return Number(/^HTTP\/1\.1 (\d+) /.exec(text)?.[1] ?? 0);
}

function requestOf(port: number, { method = "GET", path = "", host = "", headers = "" }): string {
  return `${method} ${path || `/callback?code=c&state=${STATE}`} HTTP/1.1\r\n` +
    `Host: ${host || `127.0.0.1:${port}`}\r\n${headers}\r\n`;
}

const OTHERS: [what: string, request: Parameters<typeof requestOf>[1], status: number][] = [
  ["a foreign Host (DNS rebinding)", { host: "evil.example.com" }, 403],
  ["a foreign Host with the right port", { host: "evil.example.com:PORT" }, 403],
  ["a Host without the port", { host: "127.0.0.1" }, 403],
  ["two Hosts", { headers: "Host: evil.example.com\r\n" }, 400],
  ["the icon", { path: "/favicon.ico" }, 404],
  ["another path", { path: `/?code=c&state=${STATE}` }, 404],
  ["a longer path", { path: `/callback/?code=c&state=${STATE}` }, 404],
  ["an encoded path", { path: `/%63allback?code=c&state=${STATE}` }, 404],
  ["a whole URL", { path: `http://127.0.0.1/callback?code=c&state=${STATE}` }, 400],
  ["HEAD", { method: "HEAD" }, 405],
  ["OPTIONS", { method: "OPTIONS" }, 405],
  ["POST", { method: "POST", headers: "Content-Length: 0\r\n" }, 405],
  ["a chunked body", { headers: "Transfer-Encoding: chunked\r\n" }, 400],
  ["a header without a name", { headers: ": x\r\n" }, 400],
  ["a huge header", { headers: `X: ${"x".repeat(70_000)}\r\n` }, 413],
  ["a huge body", { headers: "Content-Length: 99999999\r\n" }, 413],
];

Deno.test("redirect listener: what is no answer does not keep the answer away", async () => {
  const { listener, answer, url } = listen();
  await using _ = listener;
  const { port } = listener.form;
  for (const [what, request, status] of OTHERS) {
    const host = request.host?.replace("PORT", String(port));
    const text = await rawRequest(port, requestOf(port, { ...request, ...(host && { host }) }));
    if (what !== "a huge header" || text !== "") assertEquals(statusOf(text), status, what);
    assert(!text.includes(STATE), what);
  }
  const start = performance.now();
  for (const blank of [" ", "\t"]) {
    const headers = `X: x${blank.repeat(30_000)}x\r\n`;
    await rawRequest(port, requestOf(port, { path: "/x", headers }));
  }
  assert(performance.now() - start < 3000, "a long run of blanks takes no time");
  const hostname = "127.0.0.1";
  const connections = Array.from({ length: 200 }, () => Deno.connect({ hostname, port }));
  const idle = await Promise.all(connections); // which say nothing
  const probes = Array.from(
    { length: 300 },
    (_, at) =>
      fetch(`${listener.redirectUri}?code=${at}&state=${at}`)
        .then(async (response) => (await response.text(), response.status), () => 0),
  );
  const page = fetch(url).then((it) => it.text(), () => fetch(url).then((it) => it.text()));
  assertEquals((await answer.taken).get("code"), "c");
  assert((await page).includes("has arrived"));
  const seen = new Set(await Promise.all(probes));
  assertEquals([...seen].filter((status) => status !== 0 && status !== 400), []);
  for (const connection of idle) connection.close();
});

Deno.test("redirect listener: its page holds nothing of the request, and keeps nothing", async () => {
  const { listener, url } = listen();
  await using _ = listener;
  const response = await fetch(`${url}&session_state=%3Cscript%3Ealert(1)`);
  const html = await response.text();
  for (const part of [STATE, "alert", "session_state"]) assert(!html.includes(part), part);
  const { headers } = response;
  assertEquals(headers.get("cache-control"), "no-store");
  assertEquals(headers.get("referrer-policy"), "no-referrer");
  assertEquals(headers.get("x-frame-options"), "DENY");
  const policy = headers.get("content-security-policy")!;
  assertMatch(
    policy,
    /^default-src 'none'; script-src 'nonce-[-0-9a-f]{36}'; style-src 'nonce-[-0-9a-f]{36}'; /,
  );
  assertMatch(
    html,
    /<script nonce="[^"]+">history\.replaceState\(null,"",location\.pathname\)<\/script>/,
  );
});

Deno.test("redirect listener: a refused sign-in is told at once, in no words of the provider", async () => {
  const { listener } = listen();
  await using _ = listener;
  const text = "error=access_denied&error_description=%3Cb%3Eblocked";
  const pages = [[STATE, "You are not signed in"], ["other", "This did not sign you in"]];
  for (const [state, title] of [...pages.toReversed(), ...pages]) { // loaded anew, it is the same
    const html = await (await fetch(`${listener.redirectUri}?state=${state}&${text}`)).text();
    assert(html.includes(`<h1>${title}</h1>`), html);
    for (const part of [STATE, "blocked", "access_denied"]) assert(!html.includes(part), part);
  }
});

Deno.test("redirect listener: before a request there is no answer", async () => {
  using _env = new OwnEnv();
  await using listener = RedirectListener.open(resolveRedirect({}, ISSUER, "sign in"));
  const response = await fetch(`${listener.redirectUri}?code=c&state=${STATE}`);
  const isStray = (await response.text()).includes("This did not sign you in");
  assertEquals([response.status, isStray], [400, true]);
});

Deno.test("redirect listener: it is closed at once, idle connections and all", async () => {
  const { listener } = listen();
  const { port } = listener.form;
  const idle = await Deno.connect({ hostname: "127.0.0.1", port });
  await new Promise((resolve) => setTimeout(resolve, 10)); // for the other side to accept it
  const start = performance.now();
  await listener[Symbol.asyncDispose]();
  assertEquals(await idle.read(new Uint8Array(1)).catch(() => null), null);
  assert(performance.now() - start < 5000, "not at the end of the wait for a request");
  idle.close();
  await Deno.connect({ hostname: "127.0.0.1", port }).then(
    (connection) => {
      connection.close();
      throw new Error("somebody listens");
    },
    () => undefined,
  );
  Deno.listen({ hostname: "127.0.0.1", port }).close();
});

Deno.test("redirect listener: a port that is taken is an error with the way out", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const redirectUri = `http://127.0.0.1:${port}/cb`;
  const error = assertThrows(() => listen({ redirectUri }), ValidMindAuthError);
  assertEquals(error.code, "redirect_unavailable");
  assertMatch(error.message, new RegExp(`127\\.0\\.0\\.1:${port} .*another program`));
  const other = freePort();
  const { listener } = listen({
    redirectUri: "http://127.0.0.1/cb",
    listen: `127.0.0.1:${port},${other}`,
  });
  await using _ = listener;
  assertEquals(listener.redirectUri, `http://127.0.0.1:${other}/cb`);
});

Deno.test("redirect listener: a refusal of the system is told in words", () => {
  const { listen: real } = Deno;
  for (const kind of ["PermissionDenied", "AddrNotAvailable"] as const) {
    const refuse = () => {
      throw new Deno.errors[kind]("no");
    };
    Object.assign(Deno, { listen: refuse });
    try {
      const words = `the system refuses it (${kind}). End it, or give other ports`;
      assertThrows(() => listen({ redirectUri: "http://127.0.0.1:80/cb" }), Error, words);
    } finally {
      Object.assign(Deno, { listen: real });
    }
  }
});

Deno.test("redirect listener: localhost is listened for at both kinds of address", async () => {
  const { listener, answer } = listen({ redirectUri: "http://localhost/callback" });
  await using _ = listener;
  assertMatch(listener.redirectUri, /^http:\/\/localhost:\d+\/callback$/);
  const path = `/callback?code=c&state=${STATE}`;
  const hosts = ["127.0.0.1", "[::1]"].filter((host) => host === "127.0.0.1" || hasIpv6());
  for (const host of hosts) {
    const init = { headers: { host: `localhost:${listener.form.port}` } };
    const response = await fetch(`http://${host}:${listener.form.port}${path}`, init);
    assertEquals((await response.text()).includes("has arrived"), true, host);
  }
  assertEquals((await answer.taken).get("code"), "c");
});

Deno.test({
  name: "redirect listener: another program at either address of localhost gets no link",
  ignore: !hasIpv6(),
  fn: async () => {
    for (const hostname of ["127.0.0.1", "::1"]) {
      using other = Deno.listen({ hostname, port: 0 });
      const { port } = other.addr;
      const start = () => listen({ redirectUri: `http://localhost:${port}/callback` });
      const { message } = await rejectsWith("redirect_unavailable", start, "another program");
      assert(["127.0.0.1", "[::1]"].every((host) => message.includes(`${host}:${port}`)));
    }
  },
});

Deno.test({
  name: "redirect listener: localhost needs both of its addresses",
  permissions: { net: ["127.0.0.1:0"], env: true },
  ignore: !hasIpv6(),
  fn: async () => {
    const start = () => listen({ redirectUri: "http://localhost/callback" });
    await rejectsWith("permission_required", start, "--allow-net=127.0.0.1:0,[::1]");
  },
});

function hasIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

Deno.test("redirect listener: behind a proxy it answers the proxy's name and the path behind it", async () => {
  const port = freePort();
  const redirectUri = "https://hub.example.com/hub/user-redirect/proxy/{port}/callback";
  const { listener, answer } = listen({ redirectUri, listen: `127.0.0.1:${port}` });
  await using _ = listener;
  assertEquals(listener.redirectUri, redirectUri.replace("{port}", String(port)));
  const text = await rawRequest(port, requestOf(port, { host: "hub.example.com" }));
  assertEquals(statusOf(text), 200);
  assertEquals((await answer.taken).get("code"), "c");
});

Deno.test("redirect listener: the notebook's form hands in an address from any host", async () => {
  const { listener, answer, url } = listen();
  await using _ = listener;
  const post = (body: string) =>
    rawRequest(
      listener.form.port,
      requestOf(listener.form.port, {
        method: "POST",
        path: listener.form.path,
        host: "hub.example.com",
        headers:
          `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n`,
      }) + body,
    );
  assertEquals(statusOf(await post("address=nonsense")), 400);
  assertEquals(statusOf(await post("")), 400);
  const probe = requestOf(listener.form.port, {
    path: listener.form.path,
    host: "hub.example.com",
  });
  assertEquals(statusOf(await rawRequest(listener.form.port, probe)), 204);
  assertEquals(statusOf(await post(`address=${encodeURIComponent(url)}`)), 200);
  assertEquals((await answer.taken).get("code"), "c");
});

Deno.test({
  name: "redirect listener: a free port needs the grant of port 0 and no more",
  permissions: { net: ["127.0.0.1:0"], env: true },
  fn: async () => {
    const { listener } = listen();
    await using _ = listener;
    assertMatch(listener.redirectUri, /^http:\/\/127\.0\.0\.1:\d+\//);
  },
});

Deno.test({
  name: "redirect listener: without the grant the error names it",
  permissions: { env: true },
  fn: async () => {
    const { message } = await rejectsWith("permission_required", () => listen(), "127.0.0.1:0");
    assertMatch(message, /--allow-net=127\.0\.0\.1:0$/);
  },
});
