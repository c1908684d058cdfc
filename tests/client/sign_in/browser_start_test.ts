import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { BrowserStart } from "../../../client/sign_in/browser_answer.ts";
import { isOwnConnection } from "../../../client/sign_in/browser_answer.ts";
import { browserOptions } from "../../support/browser_flow.ts";
import { OwnStreams } from "../../support/own_streams.ts";
import { oidcProviderWorld } from "../../support/provider_world.ts";
import { tempDir } from "../../support/temp_home.ts";
import { createSession } from "../../../mod.ts";

const LINK = "https://login.example.com/authorize?state=hidden-state-of-the-link";

function request(method: string, cookie?: string) {
  const headers = new Map(cookie === undefined ? [] : [["cookie", cookie]]);
  return { method, path: "", query: new URLSearchParams(), headers, body: "" };
}

/** A page that leads to the link, and the number of other browsers that came. */
function led() {
  const start = new BrowserStart();
  const others = { count: 0 };
  start.lead(LINK, () => others.count++);
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
    assertStringIncludes(headers["content-security-policy"]!, "default-src 'none'");
  }
  assertEquals((await start.respond(request("HEAD"), undefined)).status, 405);
  const { status, location } = await post(undefined);
  assertEquals([status, location, others.count], [303, LINK, 0]);
  assertEquals((await new BrowserStart().respond(request("POST"), true)).status, 404); // no link yet
});

Deno.test("browser start: the link goes to one browser, which may ask again, and a second one ends it", async () => {
  const { others, post } = led();
  const first = await post(undefined);
  const again = await post(undefined, `other=1; ${first.cookie}`);
  assertEquals([first.location, again.location, others.count], [LINK, LINK, 0]);
  for (const cookie of [undefined, "vm-auth-start=guessed"]) {
    const { status, location } = await post(undefined, cookie);
    assertEquals([status, location], [409, undefined]);
  }
  assertEquals(others.count, 2);
});

Deno.test("browser start: where the system tells whose a browser is, only this user's gets the link", async () => {
  const { others, post } = led();
  assertEquals((await post(false)).status, 404);
  assertEquals((await post(true)).location, LINK);
  assertEquals((await post(true)).location, LINK, "this user's second browser");
  assertEquals([(await post(false)).status, others.count], [404, 0]);
});

Deno.test({
  name: "browser start: without every permission nothing tells whose a connection is",
  permissions: { net: ["127.0.0.1"] },
  fn: async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    using _client = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
    using server = await listener.accept();
    assertEquals(isOwnConnection(server), undefined);
  },
});

for (const hostname of ["127.0.0.1", "[::1]"]) {
  Deno.test({
    name:
      `browser start: a neighbour with the same ports elsewhere makes no browser foreign (${hostname})`,
    ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
    fn: async () => {
      using listener = Deno.listen({ hostname, port: 0 });
      const { port } = listener.addr;
      using client = await Deno.connect({ hostname, port });
      using server = await listener.accept();
      assertEquals(isOwnConnection(server), true);
      using elsewhere = Deno.listen({ hostname: "127.0.0.3", port });
      const script = `import os, socket, sys\nos.setuid(65534)\ns = socket.socket()\n` +
        `s.bind(("127.0.0.2", ${(client.localAddr as Deno.NetAddr).port}))\n` +
        `s.connect(("127.0.0.3", ${port}))\nprint(flush=True)\nsys.stdin.read()`;
      const neighbour = new Deno.Command("python3", {
        args: ["-c", script],
        stdin: "piped",
        stdout: "piped",
      }).spawn();
      const reader = neighbour.stdout.getReader();
      await reader.read();
      using _theirs = await elsewhere.accept();
      assertEquals(isOwnConnection(server), true);
      await neighbour.stdin.close();
      await reader.cancel();
      await neighbour.status;
    },
  });
}

Deno.test({
  name:
    "browser start: the opener's argument tells nothing of the sign-in, and another user's no link",
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
  fn: async () => {
    await using dir = await tempDir();
    const opener =
      `#!/bin/sh\nprintf '%s' "$*" > ${dir.path}/x && mv ${dir.path}/x ${dir.path}/opened\n`;
    await Deno.writeTextFile(`${dir.path}/xdg-open`, opener, { mode: 0o755 });
    await using world = await oidcProviderWorld();
    using _ = new OwnStreams();
    Deno.env.set("PATH", `${dir.path}:${Deno.env.get("PATH")}`);
    const session = createSession({ ...browserOptions(world), openBrowser: true });
    let address: string | undefined;
    while (address === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      address = await Deno.readTextFile(`${dir.path}/opened`).catch(() => undefined);
    }
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
  },
});
