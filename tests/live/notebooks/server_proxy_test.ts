/** jupyter-server-proxy itself between a person's browser and the listener, as on a hub. */
import type { Page } from "playwright-core";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { startBrowserFlow } from "../../support/browser_flow.ts";
import { openWindow, startChromium } from "../../support/chromium.ts";
import { runNotebook } from "../../support/jupyter.ts";
import { oidcProviderWorld } from "../../support/provider_world.ts";
import { freePort } from "../../support/servers/free_port.ts";
import { type NotebookServer, startNotebookServer } from "./jupyter_server_proxy.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { startNotebookWorld } from "../../notebooks/notebook_world.ts";

const { test } = await liveTests("jupyter-server-proxy");

/** A provider that knows one redirect URI, behind the server's proxy. */
async function worldBehind({ origin, prefix }: NotebookServer, port: number) {
  const redirectUri = `${origin}${prefix}proxy/{port}/callback`;
  const redirect_uris = [redirectUri.replace("{port}", String(port))];
  const world = await oidcProviderWorld({
    configure: ({ clients }) =>
      void Object.assign(clients![0]!, { application_type: "web", redirect_uris }),
  });
  return { world, options: { redirectUri, listen: `127.0.0.1:${port}` } };
}

/** Opens a window; `isKnown` where the person has signed in at the notebook server. */
async function windowAt(
  browser: Awaited<ReturnType<typeof startChromium>>,
  { origin, prefix, token }: NotebookServer,
  isKnown: boolean,
): Promise<Page> {
  const context = await openWindow(browser, { ignoreHTTPSErrors: true });
  const page = await context.newPage();
  if (isKnown) await page.goto(`${origin}${prefix}tree?token=${token}`);
  return page;
}

async function approve(page: Page, link: string): Promise<void> {
  await page.goto(link);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
}

test("jupyter-server-proxy: a whole sign-in comes back through it, by https:", async () => {
  await using server = await startNotebookServer();
  const port = freePort();
  const { world, options } = await worldBehind(server, port);
  await using _ = world;
  const { prompt, session } = await startBrowserFlow(world, options);
  const redirectUri = `${server.origin}/user/ada/proxy/${port}/callback`;
  assertEquals(prompt.redirectUri, redirectUri);
  await using browser = await startChromium();
  const page = await windowAt(browser, server, true);
  await approve(page, prompt.url);
  await page.getByRole("heading", { name: "Your answer has arrived" }).waitFor();
  assertEquals(page.url(), redirectUri, "the address kept its parameters");
  await using signedIn = await session;
  assertEquals((await signedIn.status()).signedIn, true);
});

test("jupyter-server-proxy: the form in a real kernel's output hands in the address", async () => {
  await using server = await startNotebookServer();
  await using world = await startNotebookWorld();
  const source = `import * as vm from "jsr:@validmind/auth";
    const session = await vm.init({ flow: "browser" }); (await session.status()).email`;
  const cell = { cell_type: "code" as const, source, metadata: {}, outputs: [] };
  const file = await world.write({ metadata: {}, cells: [cell] }, "form.ipynb");
  const env = { ...world.home.env, JUPYTERHUB_SERVICE_PREFIX: server.prefix };
  await using running = runNotebook({ ...world.home, env }, file);
  const { content } = await running.waitFor(({ type }) => type === "display_data");
  const link = /http\S+\/auth\?\S+/.exec(content.data!["text/plain"]!)![0];
  const stopAt = new URL(link).searchParams.get("redirect_uri")!;
  const { url: address } = await world.provider.follow(link, { stopAt });

  await using browser = await startChromium();
  const page = await windowAt(browser, server, true);
  const lab = `${server.origin}${server.prefix}lab`;
  const body = `<!doctype html><body>${content.data!["text/html"]}</body>`;
  await page.route(lab, (route) => route.fulfill({ contentType: "text/html", body }));
  await page.goto(lab);
  const form = page.locator("form");
  await form.waitFor({ state: "visible" });
  assertMatch(await form.getAttribute("action") ?? "", /\/user\/ada\/proxy\/\d+\/[\w-]{36}$/);
  await form.locator("input").fill(address);
  const opened = page.context().waitForEvent("page");
  await form.locator("button").click();
  const answer = await opened;
  await answer.getByRole("heading", { name: "Your answer has arrived" }).waitFor();
  const result = await running.waitFor(({ type }) => type === "execute_result");
  assertStringIncludes(result.content.data!["text/plain"]!, "analyst@example.com");
  assert(!JSON.stringify(running.messages).includes(new URL(address).searchParams.get("code")!));
});
