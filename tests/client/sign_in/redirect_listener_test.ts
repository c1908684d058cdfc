import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { ValidMindAuthError } from "../../../client/errors.ts";
import { resolveRedirect } from "../../../client/options/browser_options.ts";
import { BrowserAnswer } from "../../../client/sign_in/browser_answer.ts";
import { RedirectListener } from "../../../client/sign_in/redirect_listener.ts";
import { rawRequest } from "../../support/browser_flow.ts";
import { OwnEnv } from "../../support/own_env.ts";
import { runDeno } from "../../support/deno_process.ts";

const STATE = "s".repeat(43);
const LINK = "https://login.example.com/authorize?state=x";
const ISSUER = "https://login.example.com";

function listen(options: { redirectUri?: string; listen?: string } = {}) {
  using _env = new OwnEnv();
  const listener = RedirectListener.open(resolveRedirect(options, ISSUER, "sign in"));
  const answer = new BrowserAnswer(STATE);
  listener.expect(answer, LINK);
  return { listener, answer, url: `${listener.redirectUri}?code=c&state=${STATE}` };
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

for (const [what, request, status] of OTHERS) {
  Deno.test(`redirect listener: ${what} is not the answer`, async () => {
    const { listener, answer, url } = listen();
    await using _ = listener;
    const host = request.host?.replace("PORT", String(listener.port));
    const text = await rawRequest(
      listener.port,
      requestOf(listener.port, { ...request, ...(host && { host }) }),
    );
    if (what !== "a huge header" || text !== "") assertEquals(statusOf(text), status);
    assert(!text.includes(STATE));
    const page = fetch(url);
    assertEquals((await answer.taken).get("code"), "c");
    assertEquals((await (await page).text()).includes("has arrived"), true);
  });
}

Deno.test("redirect listener: a long run of blanks within a header takes no time", async () => {
  const { listener } = listen();
  await using _ = listener;
  const start = performance.now();
  for (const blank of [" ", "\t"]) {
    const headers = `X: x${blank.repeat(30_000)}x\r\n`;
    await rawRequest(listener.port, requestOf(listener.port, { path: "/x", headers }));
  }
  assert(performance.now() - start < 3000);
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

Deno.test("redirect listener: before a request there is no answer", async () => {
  using _env = new OwnEnv();
  await using listener = RedirectListener.open(resolveRedirect({}, ISSUER, "sign in"));
  const response = await fetch(`${listener.redirectUri}?code=c&state=${STATE}`);
  assertEquals([response.status, (await response.text()).includes("Nothing to do here")], [
    400,
    true,
  ]);
});

Deno.test("redirect listener: a thousand probes at once do not keep the answer away", async () => {
  const { listener, answer, url } = listen();
  await using _ = listener;
  const probes = Array.from(
    { length: 1000 },
    (_, at) =>
      fetch(`${listener.redirectUri}?code=${at}&state=${at}`)
        .then(async (response) => (await response.text(), response.status), () => 0),
  );
  const page = fetch(url).then(
    (response) => response.text(),
    () => fetch(url).then((r) => r.text()),
  );
  assertEquals((await answer.taken).get("code"), "c");
  assertEquals((await page).includes("has arrived"), true);
  const seen = new Set(await Promise.all(probes));
  assertEquals([...seen].filter((status) => status !== 0 && status !== 400), []);
});

Deno.test("redirect listener: connections that say nothing do not keep the answer away", async () => {
  const { listener, answer, url } = listen();
  await using _ = listener;
  const hostname = "127.0.0.1";
  const idle = await Promise.all(
    Array.from({ length: 200 }, () => Deno.connect({ hostname, port: listener.port })),
  );
  const page = fetch(url);
  await answer.taken;
  assertEquals((await (await page).text()).includes("has arrived"), true);
  for (const connection of idle) connection.close();
});

Deno.test("redirect listener: it is closed at once, idle connections and all", async () => {
  const { listener } = listen();
  const { port } = listener;
  const idle = await Deno.connect({ hostname: "127.0.0.1", port });
  await new Promise((resolve) => setTimeout(resolve, 10)); // for the other side to accept it
  await listener[Symbol.asyncDispose]();
  assertEquals(await idle.read(new Uint8Array(1)).catch(() => null), null);
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

for (
  const [kind, words] of [
    ["PermissionDenied", "the system refuses it (PermissionDenied). End it, or give other ports"],
    ["AddrNotAvailable", "the system refuses it (AddrNotAvailable). End it, or give other ports"],
  ] as const
) {
  Deno.test(`redirect listener: ${kind} of the system is told in words`, () => {
    const { listen: real } = Deno;
    const refuse = () => {
      throw new Deno.errors[kind]("no");
    };
    Object.assign(Deno, { listen: refuse });
    try {
      const error = assertThrows(() => listen({ redirectUri: "http://127.0.0.1:80/cb" }));
      assert((error as Error).message.includes(words), (error as Error).message);
    } finally {
      Object.assign(Deno, { listen: real });
    }
  });
}

Deno.test("redirect listener: a port that another sign-in of this program has is told as such", async () => {
  const port = freePort();
  const setting = { listen: `127.0.0.1:${port}`, redirectUri: "https://hub.example.com/callback" };
  const { listener } = listen(setting);
  const error = assertThrows(() => listen(setting), ValidMindAuthError);
  assertEquals(error.code, "redirect_unavailable");
  assertMatch(error.message, /another sign-in of this one/);
  await listener[Symbol.asyncDispose]();
  await listen(setting).listener[Symbol.asyncDispose]();
});

Deno.test("redirect listener: localhost is listened for at both kinds of address", async () => {
  const { listener, answer } = listen({ redirectUri: "http://localhost/callback" });
  await using _ = listener;
  assertMatch(listener.redirectUri, /^http:\/\/localhost:\d+\/callback$/);
  const path = `/callback?code=c&state=${STATE}`;
  const hosts = ["127.0.0.1", "[::1]"].filter((host) => host === "127.0.0.1" || hasIpv6());
  for (const host of hosts) {
    const init = { headers: { host: `localhost:${listener.port}` } };
    const response = await fetch(`http://${host}:${listener.port}${path}`, init);
    assertEquals((await response.text()).includes("has arrived"), true, host);
  }
  assertEquals((await answer.taken).get("code"), "c");
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
      listener.port,
      requestOf(listener.port, {
        method: "POST",
        path: listener.formPath,
        host: "hub.example.com",
        headers:
          `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n`,
      }) + body,
    );
  assertEquals(statusOf(await post("address=nonsense")), 400);
  assertEquals(statusOf(await post("")), 400);
  const probe = requestOf(listener.port, { path: listener.formPath, host: "hub.example.com" });
  assertEquals(statusOf(await rawRequest(listener.port, probe)), 204);
  assertEquals(statusOf(await post(`address=${encodeURIComponent(url)}`)), 200);
  assertEquals((await answer.taken).get("code"), "c");
});

Deno.test("redirect listener: DENO_SERVE_ADDRESS does not move it, nor is it used up", async () => {
  const port = freePort();
  const { stdout } = await runDeno({
    flags: ["-A"],
    env: { DENO_SERVE_ADDRESS: `tcp:0.0.0.0:${port}` },
    code: `
      import { resolveRedirect } from "${new URL(
      "../../../client/options/browser_options.ts",
      import.meta.url,
    )}";
      import { RedirectListener } from "${new URL(
      "../../../client/sign_in/redirect_listener.ts",
      import.meta.url,
    )}";
      const listener = RedirectListener.open(resolveRedirect({}, "${ISSUER}", "sign in"));
      console.log(new URL(listener.redirectUri).hostname, listener.port !== ${port});
      await listener[Symbol.asyncDispose]();
    `,
  });
  assertEquals(stdout.trim(), "127.0.0.1 true");
});

Deno.test("redirect listener: a free port needs the grant of port 0 and no more", async () => {
  const code = `
    import { resolveRedirect } from "${new URL(
    "../../../client/options/browser_options.ts",
    import.meta.url,
  )}";
    import { RedirectListener } from "${new URL(
    "../../../client/sign_in/redirect_listener.ts",
    import.meta.url,
  )}";
    try {
      const listener = RedirectListener.open(resolveRedirect({}, "${ISSUER}", "sign in"));
      await listener[Symbol.asyncDispose]();
      console.log("open");
    } catch (error) {
      console.log(error.code, /--allow-net=127\\.0\\.0\\.1:0$/.test(error.message));
    }
  `;
  const granted = await runDeno({ flags: ["--allow-net=127.0.0.1:0"], code });
  assertEquals(granted.stdout.trim(), "open", granted.stderr);
  const denied = await runDeno({ flags: [], code });
  assertEquals(denied.stdout.trim(), "permission_required true", denied.stderr);
});

for (
  const redirectUri of [
    "http://127.0.0.1:0/callback",
    "http://127.0.0.1:/callback",
    "http://127.0.0.1:080/callback",
    "http://127.0.0.1:65536/callback",
    "http:/127.0.0.1/callback",
    "http:127.0.0.1/callback",
    "http:\\\\127.0.0.1\\callback",
    "http://127.0.0.1/\ncallback",
    "http://127.0.0.1/a/../callback",
    "http://127.0.0.1/%2e%2e/callback",
    "http://127.0.0.1/ü",
    "http://@127.0.0.1/callback",
    "http://127.0.0.1@evil.example.com/",
    "http://127.0.0.1/callback?",
    "http://127.0.0.1/callback#",
    "http://127.0.0.1{port}/callback",
  ]
) {
  Deno.test(`redirect listener: ${JSON.stringify(redirectUri)} is refused before any work`, () => {
    const place = redirectUri.includes("{port}") ? { listen: "127.0.0.1:8765" } : {};
    const error = assertThrows(() => listen({ redirectUri, ...place }), ValidMindAuthError);
    assertEquals(error.code, "invalid_options");
  });
}
