import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { resolveRedirect } from "../../../client/options/browser_options.ts";
import { BrowserAnswer, BrowserStart } from "../../../client/sign_in/browser_answer.ts";
import { isOwnConnection } from "../../../client/sign_in/http_exchange.ts";
import { RedirectListener } from "../../../client/sign_in/redirect_listener.ts";
import { hasChromium, openWindow, startChromium } from "../../support/chromium.ts";
import { startOidcProvider } from "../../support/oidc_provider.ts";
import { OwnEnv } from "../../support/own_env.ts";
import { captureTerminal, hasTerminal } from "../../support/terminal.ts";
import { tempDir } from "../../support/temp_home.ts";

const LINK = "https://login.example.com/authorize?state=hidden-state-of-the-link";
const MOD = new URL("../../../mod.ts", import.meta.url).href;

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
    assertEquals([status, headers["cache-control"], headers["referrer-policy"]], [
      200,
      "no-store",
      "no-referrer",
    ]);
    assert(!body.includes("example.com") && !/hidden-state/.test(JSON.stringify(headers)));
    assertStringIncludes(headers["content-security-policy"]!, "default-src 'none'");
  }
  assertEquals((await start.respond(request("HEAD"), undefined)).status, 405);
  const { status, location } = await post(undefined);
  assertEquals([status, location, others.count], [303, LINK, 0]);
});

Deno.test("browser start: the link goes to one browser, which may ask again, and a second one ends it", async () => {
  const { others, post } = led();
  const first = await post(undefined);
  assertEquals(first.location, LINK);
  const again = await post(undefined, `other=1; ${first.cookie}`);
  assertEquals([again.location, others.count], [LINK, 0]);
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

Deno.test("browser start: before there is a link it leads nowhere", async () => {
  assertEquals((await new BrowserStart().respond(request("POST"), true)).status, 404);
});

/** A listener that leads to the link, and its answer. */
function listen() {
  using _env = new OwnEnv();
  const setting = resolveRedirect({}, "https://login.example.com", "sign in");
  const listener = RedirectListener.open(setting);
  const answer = new BrowserAnswer("s".repeat(43));
  listener.expect(answer, LINK);
  return { listener, answer };
}

const begin = (url: string) => fetch(url, { method: "POST", redirect: "manual" });

Deno.test({
  name: "browser start: a second browser ends the wait, where the system tells nothing",
  permissions: { net: ["127.0.0.1"], env: true },
  fn: async () => {
    const { listener, answer } = listen();
    await using _ = listener;
    const first = await begin(listener.startUrl);
    assertEquals([first.status, first.headers.get("location")], [303, LINK]);
    await first.body?.cancel();
    const second = await begin(listener.startUrl);
    assertEquals(second.status, 409);
    assertStringIncludes(await second.text(), "open the link of the program yourself");
    const error = await answer.taken.catch((error) => error);
    assertEquals(error.constructor.name, "OtherBrowser");
    const state = new URLSearchParams({ code: "c", state: "s".repeat(43) });
    assertStringIncludes(answer.offer(state)!, "has ended");
  },
});

Deno.test({
  name: "browser start: another user of the host does not get the link",
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
  fn: async () => {
    const { listener } = listen();
    await using _ = listener;
    const asOther = async (url: string) => {
      const script = `exec 3<>/dev/tcp/127.0.0.1/${listener.port}; printf 'POST ${
        new URL(url).pathname
      } HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 0\\r\\n\\r\\n' >&3; cat <&3`;
      const command = new Deno.Command("bash", {
        args: ["-c", script],
        cwd: "/", // the checkout may be private
        uid: 65534,
        gid: 65534,
      });
      return new TextDecoder().decode((await command.output()).stdout);
    };
    const text = await asOther(listener.startUrl);
    assertEquals([text.startsWith("HTTP/1.1 404 "), text.includes(LINK)], [true, false], text);
    const own = await begin(listener.startUrl);
    assertEquals(own.headers.get("location"), LINK);
    await own.body?.cancel();
  },
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

/** Puts an `xdg-open` into a folder that takes down its argument. */
async function fakeOpener(path: string): Promise<void> {
  const script =
    `#!/bin/sh\nprintf '%s' "$*" > ${path}/opened.new; mv ${path}/opened.new ${path}/opened\n`;
  await Deno.writeTextFile(`${path}/xdg-open`, script, { mode: 0o755 });
}

Deno.test({
  name: "browser start: the opener's argument tells nothing of the sign-in, in Chromium",
  ignore: !hasTerminal || !hasChromium || Deno.build.os !== "linux",
  fn: async () => {
    await using dir = await tempDir();
    await fakeOpener(dir.path);
    await using provider = await startOidcProvider();
    await using browser = await startChromium();
    const titles: string[] = [];
    let visit: Promise<void> | undefined;
    const open = async () => {
      let address = "";
      while (address === "") {
        await new Promise((resolve) => setTimeout(resolve, 20));
        address = await Deno.readTextFile(`${dir.path}/opened`).catch(() => "");
      }
      titles.push(address);
      const page = await (await openWindow(browser)).newPage();
      await page.goto(address);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("button", { name: "Continue" }).click();
      await page.getByRole("heading", { name: "Your answer has arrived" }).waitFor();
    };
    const { text } = await captureTerminal({
      code: `
        import { createSession, MemoryCredentialsBackend } from ${JSON.stringify(MOD)};
        const [issuer, clientId] = Deno.args;
        const session = await createSession({ issuer, clientId, flow: "browser", openBrowser: true,
          credentialsBackend: new MemoryCredentialsBackend() });
        console.log("state: signed in", (await session.status()).signedIn);
      `,
      args: [provider.issuer, provider.clientId],
      flags: ["-A"],
      env: { NO_COLOR: "1", PATH: `${dir.path}:${Deno.env.get("PATH")}` },
      onText: () => void (visit ??= open()),
    });
    await visit;
    assertStringIncludes(text, "state: signed in true");
    const { host, pathname, search } = new URL(titles[0]!);
    assertEquals([/^127\.0\.0\.1:\d+$/.test(host), search], [true, ""]);
    assertEquals(/^\/[\w-]{36}$/.test(pathname), true);
  },
});
