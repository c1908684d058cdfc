import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { assertNoSecret, rememberSecret } from "../support/assert_no_secret.ts";
import { hasChromium, openWindow, startChromium } from "../support/chromium.ts";
import {
  codeCells,
  hasJupyter,
  type KernelMessage,
  type RunningNotebook,
  runNotebook,
} from "../support/jupyter.ts";
import { type NotebookWorld, startNotebookWorld } from "./notebook_world.ts";

const IMPORT = `import * as vm from "jsr:@validmind/auth";`;

/** The link of the first display. */
async function linkOf(running: RunningNotebook): Promise<{ link: string; html: string }> {
  const { content } = await running.waitFor(({ type }) => type === "display_data");
  const link = /http\S+\/auth\?\S+/.exec(content.data!["text/plain"]!)![0];
  return { link, html: content.data!["text/html"]! };
}

const outcomes = (running: RunningNotebook) =>
  running.messages.filter(({ type }) => type === "update_display_data")
    .map(({ content }: KernelMessage) => content.data!["text/plain"]!);

/** The address that the browser of another machine ends on. */
async function addressAfter({ provider }: NotebookWorld, link: string): Promise<string> {
  const stopAt = new URL(link).searchParams.get("redirect_uri")!;
  const { url } = await provider.follow(link, { stopAt });
  for (const name of ["code", "state"]) rememberSecret(new URL(url).searchParams.get(name)!);
  return url;
}

Deno.test({
  name: "a sign-in in two cells: one shows the link and returns, the next hands in the address",
  ignore: !hasJupyter,
  fn: async () => {
    await using world = await startNotebookWorld();
    // The address is known after the first cell only: it is read from a file, as a person types it.
    const place = JSON.stringify(`${world.home.path}/address.txt`);
    const file = await world.write(
      codeCells(
        `${IMPORT}\nconst signIn = await vm.startSignIn();`,
        `let address = ""; while (address === "") {
          await new Promise((resolve) => setTimeout(resolve, 50));
          address = await Deno.readTextFile(${place}).catch(() => "");
        }
        const session = await signIn.finish(address);
        console.log("again:", await signIn.finish(address) === session);`,
        `const again = await vm.init(); (await again.status()).email`,
      ),
      "two_cells.ipynb",
    );
    await using running = runNotebook(world.home, file);
    const { link, html } = await linkOf(running);
    await running.waitFor(({ cell, type }) => cell === 1 && type === "execute_input");
    assert(
      !html.includes('class="vm-auth-form"'),
      "a form that would be lost with the next display",
    );
    assertStringIncludes(html, "signIn.finish(");
    const address = await addressAfter(world, link);
    await Deno.writeTextFile(`${world.home.path}/address.txt.new`, address);
    await Deno.rename(`${world.home.path}/address.txt.new`, `${world.home.path}/address.txt`);
    const result = await running.waitFor(({ cell, type }) =>
      cell === 2 && type === "execute_result"
    );
    assertStringIncludes(result.content.data!["text/plain"]!, "analyst@example.com");
    assertStringIncludes(outcomes(running).at(-1)!, "Signed in as analyst@example.com.");
    const said = running.messages.filter(({ type }) => type === "stream");
    assertStringIncludes(said.map(({ content }) => content.text).join(""), "again: true");
    const left = JSON.stringify(running.messages).replaceAll(link, "")
      .replaceAll(link.replaceAll("&", "&#38;"), "");
    assertNoSecret(left, await world.tokens());
  },
});

Deno.test("the notebook's form hands in the address through the server's proxy, in Chromium", {
  ignore: !hasJupyter || !hasChromium,
}, async () => {
  await using world = await startNotebookWorld();
  const file = await world.write(
    codeCells(
      `${IMPORT}\nconst session = await vm.init({ flow: "browser" }); (await session.status()).email`,
    ),
    "form.ipynb",
  );
  await using running = runNotebook(world.home, file);
  const { link, html } = await linkOf(running);
  assertEquals(/<svg/.test(html), false, "a phone cannot bring the answer back");
  const address = await addressAfter(world, link);
  await using server = startNotebookServer(html);
  await using browser = await startChromium();
  const context = await openWindow(browser);
  const page = await context.newPage();
  await page.goto(`${server.origin}/user/ada/lab`);
  const form = page.locator("form");
  await form.waitFor({ state: "visible" });
  assertMatch(await form.getAttribute("action") ?? "", /\/user\/ada\/proxy\/\d+\/[\w-]{36}$/);
  await form.locator("input").fill(address);
  const [answer] = await Promise.all([
    context.waitForEvent("page"),
    form.locator("button").click(),
  ]);
  await answer.waitForLoadState();
  assertEquals(await answer.title(), "Your answer has arrived");
  const result = await running.waitFor(({ type }) => type === "execute_result");
  assertStringIncludes(result.content.data!["text/plain"]!, "analyst@example.com");
});

/** A notebook's server at /user/ada/, with a page that shows an output, and jupyter-server-proxy. */
function startNotebookServer(html: string) {
  const handler = async (request: Request) => {
    const { pathname, search } = new URL(request.url);
    const [, port, path] = /^\/user\/ada\/proxy\/(\d+)(\/.*)$/.exec(pathname) ?? [];
    if (port === undefined) {
      const config = JSON.stringify({ baseUrl: "/user/ada/" });
      const body = `<!doctype html><script id="jupyter-config-data" type="application/json">` +
        `${config}</script><body>${html}</body>`;
      return new Response(body, { headers: { "content-type": "text/html" } });
    }
    const { method } = request;
    const body = method === "POST" ? await request.text() : null;
    const target = `http://127.0.0.1:${port}${path}${search}`;
    return await fetch(target, { method, body, headers: { cookie: "hub=secret" } });
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
  return {
    origin: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
