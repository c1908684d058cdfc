import { createSession } from "@validmind/auth";
import { untilAborted } from "../../../backends/common/promises.ts";
import { resolveRedirect } from "../../../client/options/browser_options.ts";
import { browserAnswer, openRedirectListener } from "../../../client/sign_in/redirect_listener.ts";
import { browserStart } from "../../../client/sign_in/browser_pages.ts";
import { isOwnConnection } from "../../../client/sign_in/connection.ts";
import { browserOptions, rawRequest } from "../../support/browser_flow.ts";
import { OwnEnv, setVariables } from "../../support/own_env.ts";
import { fakeBrowser } from "../../support/fake_browser.ts";
import { freePort } from "../../support/servers/free_port.ts";
import { whyNoOtherUser } from "../../support/run_denied.ts";
import { testWith, whyWithout } from "../../support/test_with.ts";
import { replace } from "../../support/replace.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { OwnStreams } from "../../support/own_streams.ts";
import { oidcProviderWorld } from "../../support/provider_world.ts";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";

const STATE = "s".repeat(43);
const LINK = "https://login.example.com/authorize?state=x";
const ISSUER = "https://login.example.com";

function listen(options: { redirectUri?: string; listen?: string } = {}) {
  using _env = new OwnEnv();
  const listener = openRedirectListener(resolveRedirect(options, ISSUER, "sign in"));
  const answer = browserAnswer(STATE);
  const others = { count: 0 };
  listener.expect(answer, LINK, () => others.count++);
  return { listener, answer, others, url: `${listener.redirectUri}?code=c&state=${STATE}` };
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
  ["two Hosts", { headers: "Host: evil.example.com\r\n" }, 403],
  ["the icon", { path: "/favicon.ico" }, 404],
  ["another path", { path: `/?code=c&state=${STATE}` }, 404],
  ["a longer path", { path: `/callback/?code=c&state=${STATE}` }, 404],
  ["an encoded path", { path: `/%63allback?code=c&state=${STATE}` }, 404],
  ["a whole URL", { path: `http://127.0.0.1/callback?code=c&state=${STATE}` }, 400],
  ["HEAD", { method: "HEAD" }, 405],
  ["OPTIONS", { method: "OPTIONS" }, 405],
  ["POST", { method: "POST", headers: "Content-Length: 0\r\n" }, 405],
  ["as many headers as are read", { path: "/icon", headers: "X: x\r\n".repeat(99) }, 404],
  ["more headers than any browser sends", { headers: "X: x\r\n".repeat(100) }, 400],
  ["a header without a name", { headers: ": x\r\n" }, 400],
  ["a huge header", { headers: `X: ${"x".repeat(70_000)}\r\n` }, 400],
];

Deno.test("redirect listener: what is no answer does not keep the answer away", async () => {
  const { listener, answer, url } = listen();
  await using _ = listener;
  const { port } = listener;
  for (const [what, request, status] of OTHERS) {
    const host = request.host?.replace("PORT", String(port));
    const text = await rawRequest(port, requestOf(port, { ...request, ...(host && { host }) }));
    if (what === "a huge header" && text === "") continue;
    assertEquals([statusOf(text), /^connection: close\r$/im.test(text)], [status, true], what);
    assert(!text.includes(STATE), what);
  }
  const hostname = "127.0.0.1";
  const connections = Array.from({ length: 100 }, () => Deno.connect({ hostname, port }));
  const idle = await Promise.all(connections); // which say nothing
  const probes = Array.from(
    { length: 100 },
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
  const names = ["cache-control", "referrer-policy", "x-frame-options"];
  assertEquals(names.map((name) => headers.get(name)), ["no-store", "no-referrer", "DENY"]);
  const nonce = "'nonce-[-0-9a-f]{36}'";
  const policy = new RegExp(`^default-src 'none'; script-src ${nonce}; style-src ${nonce}; `);
  assertMatch(headers.get("content-security-policy")!, policy);
  const forget =
    /<script nonce="[^"]+">history\.replaceState\(null,"",location\.pathname\)<\/script>/;
  assertMatch(html, forget);
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
  await using listener = openRedirectListener(resolveRedirect({}, ISSUER, "sign in"));
  const response = await fetch(`${listener.redirectUri}?code=c&state=${STATE}`);
  assertEquals(response.status, 400);
  assertMatch(await response.text(), /This did not sign you in/);
});

Deno.test("redirect listener: it is closed at once, idle connections and all", async () => {
  const ended: number[] = [];
  const { setTimeout: wait } = globalThis;
  const noted = (run: () => void, ms = 0) => wait(() => (ended.push(ms), run()), ms);
  using _ = replace(globalThis, "setTimeout", noted as typeof setTimeout);
  const { listener } = listen();
  const { port } = listener;
  const idle = await Deno.connect({ hostname: "127.0.0.1", port });
  await new Promise((resolve) => wait(resolve, 10)); // for the other side to accept it
  await listener[Symbol.asyncDispose]();
  assertEquals(await idle.read(new Uint8Array(1)).catch(() => null), null);
  assertEquals(ended, [], "not at the end of the wait for a request");
  idle.close();
  await assertRejects(() => Deno.connect({ hostname: "127.0.0.1", port }));
  const { listener: quiet } = listen();
  await quiet[Symbol.asyncDispose]();
  Deno.listen({ hostname: "127.0.0.1", port: quiet.port }).close(); // it is free
});

Deno.test("redirect listener: of 65 connections the oldest one is closed", async () => {
  const { listener } = listen();
  const { port } = listener;
  const all: Deno.TcpConn[] = [];
  for (let at = 0; at < 65; at++) all.push(await Deno.connect({ hostname: "127.0.0.1", port }));
  const ended = all[0]!.read(new Uint8Array(1)).catch(() => null);
  assertEquals(await untilAborted(ended, AbortSignal.timeout(5000)), null);
  for (const connection of all) connection.close();
  await listener[Symbol.asyncDispose]();
});

Deno.test("redirect listener: a port that is taken is an error with the way out", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const redirectUri = `http://127.0.0.1:${port}/cb`;
  const words = [`127.0.0.1:${port} `, "another program"];
  await rejectsWith("redirect_unavailable", () => listen({ redirectUri }), ...words);
  const other = freePort();
  const { listener } = listen({
    redirectUri: "http://127.0.0.1/cb",
    listen: `127.0.0.1:${port},${other}`,
  });
  await using _ = listener;
  assertEquals(listener.redirectUri, `http://127.0.0.1:${other}/cb`);
});

Deno.test("redirect listener: a refusal of the system is told in words", async () => {
  for (const kind of ["PermissionDenied", "AddrNotAvailable"] as const) {
    using _ = replace(Deno, "listen", () => {
      throw new Deno.errors[kind]("no");
    });
    const words = `the system refuses it (${kind}). Give other ports`;
    const run = () => listen({ redirectUri: "http://127.0.0.1:80/cb" });
    await rejectsWith("redirect_unavailable", run, words);
  }
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

const whyNoIpv6 = whyWithout("IPv6", hasIpv6());
const ipv6Test = testWith({ whyNot: whyNoIpv6 }, "redirect listener: ");

ipv6Test("another program at either address of localhost gets no link", async () => {
  for (const hostname of ["127.0.0.1", "::1"]) {
    using other = Deno.listen({ hostname, port: 0 });
    const { port } = other.addr;
    const start = () => listen({ redirectUri: `http://localhost:${port}/callback` });
    const { message } = await rejectsWith("redirect_unavailable", start, "another program");
    assert(["127.0.0.1", "[::1]"].every((host) => message.includes(`${host}:${port}`)));
  }
});

function hasIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

const hub = { host: "hub.example.com" };

Deno.test("redirect listener: behind a proxy it answers the proxy's name and the path behind it", async () => {
  const port = freePort();
  const redirectUri = "https://hub.example.com/hub/user-redirect/proxy/{port}/callback";
  const { listener, answer } = listen({ redirectUri, listen: `127.0.0.1:${port}` });
  await using _ = listener;
  assertEquals(listener.redirectUri, redirectUri.replace("{port}", String(port)));
  const response = await fetch(`http://127.0.0.1:${port}/callback?code=c&state=${STATE}`, {
    headers: hub,
  });
  assertEquals([response.status, await response.text() !== ""], [200, true]);
  assertEquals((await answer.taken).get("code"), "c");
});

/** What is granted, and what an error says of what is not. */
const GRANTS: [net: string[] | false, options: { redirectUri?: string }, missing?: string][] = [
  [["127.0.0.1:0"], {}],
  [false, {}, "--allow-net=127.0.0.1:0"],
  [["127.0.0.1:0"], { redirectUri: "http://localhost/callback" }, "--allow-net=127.0.0.1:0,[::1]"],
];

for (const [net, options, missing] of GRANTS) {
  const whyNot = options.redirectUri === undefined ? undefined : whyNoIpv6;
  const test = testWith({ permissions: { net, env: true }, whyNot }, "redirect listener: ");
  test(`${missing ?? "no more"} is missing beside ${net}`, async () => {
    if (missing === undefined) return await listen(options).listener[Symbol.asyncDispose]();
    await rejectsWith("permission_required", () => listen(options), missing);
  });
}

const START_LINK = "https://login.example.com/authorize?state=hidden-state-of-the-link";

function request(method: string, cookie?: string) {
  const headers = new Headers(cookie === undefined ? [] : [["cookie", cookie]]);
  return { method, path: "", query: new URLSearchParams(), headers };
}

/** A page that leads to the link, and the number of other browsers that came. */
function led() {
  const others = { count: 0 };
  const start = browserStart(START_LINK, () => others.count++);
  const post = async (isOwn: boolean | undefined, cookie?: string) => {
    const { status, headers = {} } = await start.respond(request("POST", cookie), isOwn);
    const own = headers["set-cookie"]?.split(";")[0];
    return { status, location: headers.location, cookie: own };
  };
  return { start, others, post };
}

Deno.test("browser start: a look at the page tells nothing of the link, and is no beginning", async () => {
  const { start, others, post } = led();
  for (let time = 0; time < 3; time++) {
    const { status, headers = {}, body = "" } = await start.respond(request("GET"), undefined);
    const { "cache-control": cache, "referrer-policy": referrer } = headers;
    assertEquals([status, cache, referrer], [200, "no-store", "no-referrer"]);
    assert(!body.includes("example.com") && !/hidden-state/.test(JSON.stringify(headers)));
    assertMatch(headers["content-security-policy"]!, /default-src 'none'/);
  }
  assertEquals((await start.respond(request("HEAD"), undefined)).status, 405);
  const { status, location } = await post(undefined);
  assertEquals([status, location, others.count], [303, START_LINK, 0]);
});

Deno.test("browser start: the link goes to one browser, which may ask again, and a second one ends it", async () => {
  const { others, post } = led();
  const first = await post(undefined);
  const again = await post(undefined, `other=1; ${first.cookie}`);
  assertEquals([first.location, again.location, others.count], [START_LINK, START_LINK, 0]);
  for (const cookie of [undefined, "vm-auth-start=guessed"]) {
    const { status, location } = await post(undefined, cookie);
    assertEquals([status, location], [409, undefined]);
  }
  assertEquals(others.count, 2);
});

Deno.test("browser start: where the system tells whose a browser is, only this user's gets the link", async () => {
  const { others, post } = led();
  assertEquals((await post(false)).status, 404);
  assertEquals((await post(true)).location, START_LINK);
  assertEquals((await post(true)).location, START_LINK, "this user's second browser");
  assertEquals([(await post(false)).status, others.count], [404, 0]);
});

const rootTest = testWith({ whyNot: whyNoOtherUser }, "browser start: ");

Deno.test("browser start: without every permission nobody is asked whose a browser is", {
  permissions: { net: true, sys: true },
}, async () => {
  let reads = 0;
  using _ = replace(Deno, "readTextFileSync", () => `${reads++}`);
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using _client = await Deno.connect({ port: listener.addr.port });
  using server = await listener.accept();
  assertEquals([isOwnConnection(server), reads], [undefined, 0]);
});

for (const hostname of ["127.0.0.1", "[::1]"]) {
  rootTest(`this user's connection is known (${hostname})`, async () => {
    using listener = Deno.listen({ hostname, port: 0 });
    using _client = await Deno.connect({ hostname, port: listener.addr.port });
    using server = await listener.accept();
    assertEquals(isOwnConnection(server), true);
  });
}

rootTest("the opener's argument tells nothing, and another user gets no link", async () => {
  await using browser = await fakeBrowser();
  await using world = await oidcProviderWorld();
  using _ = new OwnStreams();
  setVariables(browser.env);
  const session = createSession({ ...browserOptions(world), openBrowser: true });
  const address = await browser.page();
  const { host, pathname, port, search } = new URL(address);
  assertEquals([/^127\.0\.0\.1:\d+$/.test(host), search], [true, ""]);
  assert(/^\/[\w-]{36}$/.test(pathname));
  const script = `exec 3<>/dev/tcp/127.0.0.1/${port}; printf 'POST ${pathname} HTTP/1.1\\r\\n` +
    `Host: x\\r\\nContent-Length: 0\\r\\n\\r\\n' >&3; cat <&3`;
  // The checkout may be private.
  const other = { args: ["-c", script], cwd: "/", uid: 65534, gid: 65534 };
  const { stdout } = await new Deno.Command("bash", other).output();
  const text = new TextDecoder().decode(stdout);
  assertEquals([text.startsWith("HTTP/1.1 404 "), text.includes("/auth?")], [true, false], text);
  const own = await fetch(address, { method: "POST", redirect: "manual" });
  await own.body?.cancel();
  await world.provider.follow(own.headers.get("location")!);
  assertEquals((await (await session).status()).signedIn, true);
});
