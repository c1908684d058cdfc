/** jupyter-server-proxy itself between a person's browser and the listener, as on a hub. */
import { assert, assertMatch, assertStringIncludes } from "@std/assert";
import { openWindow, startChromium } from "../../support/chromium.ts";
import { codeCells, type KernelHome, runNotebook } from "../../support/jupyter.ts";
import { makeLocalCa } from "../../support/local_ca.ts";
import { freePort } from "../../support/servers/free_port.ts";
import { serverBinary } from "../../support/servers/servers.ts";
import { startServerProcess } from "../../support/servers/server_process.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { startNotebookWorld } from "../../notebooks/notebook_world.ts";

const { test } = await liveTests("jupyter-server-proxy");

const [PREFIX, TOKEN] = ["/user/ada/", crypto.randomUUID()];

/** Starts a person's notebook server as a hub does, by `https:` with a certificate that nobody trusts. */
async function startNotebookServer({ path, env }: KernelHome) {
  const { cert, key } = await (await makeLocalCa()).issue(["localhost"]);
  await Deno.writeTextFile(`${path}/cert.pem`, `${cert}\n${key}`);
  const server = await startServerProcess({
    command: [
      ...[await serverBinary("jupyter-server-proxy"), "-m", "jupyter_server", "--no-browser"],
      ...["--allow-root", "--ip=127.0.0.1", `--port=${freePort()}`, "--ServerApp.port_retries=0"],
      ...[`--ServerApp.base_url=${PREFIX}`, `--ServerApp.root_dir=${path}`],
      ...[`--IdentityProvider.token=${TOKEN}`, `--certfile=${path}/cert.pem`],
    ],
    readyOn: "stderr",
    ready: /(https:\/\/127\.0\.0\.1:\d+)\//,
    env: { ...env, JUPYTER_CONFIG_DIR: `${path}/config` },
  });
  return {
    address: server.said + PREFIX,
    [Symbol.asyncDispose]: () => server.end("TERM"),
  };
}

test("jupyter-server-proxy: the form in a real kernel's output hands in the address", async () => {
  await using world = await startNotebookWorld();
  await using server = await startNotebookServer(world.home);
  const source = `import * as vm from "jsr:@validmind/auth";
    const session = await vm.init({ flow: "browser" }); (await session.status()).email`;
  const file = await world.write(codeCells(source), "form.ipynb");
  const env = { ...world.home.env, JUPYTERHUB_SERVICE_PREFIX: PREFIX };
  await using running = runNotebook({ ...world.home, env }, file);
  const { content } = await running.waitFor(({ type }) => type === "display_data");
  const link = /http\S+\/auth\?\S+/.exec(content.data!["text/plain"]!)![0];
  const stopAt = new URL(link).searchParams.get("redirect_uri")!;
  const { url: address } = await world.provider.follow(link, { stopAt });

  await using browser = await startChromium();
  const context = await openWindow(browser, { ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await page.goto(`${server.address}tree?token=${TOKEN}`);
  const lab = `${server.address}lab`;
  const body = `<!doctype html><body>${content.data!["text/html"]}</body>`;
  await page.route(lab, (route) => route.fulfill({ contentType: "text/html", body }));
  await page.goto(lab);
  const form = page.locator("form");
  await form.waitFor({ state: "visible" });
  assertMatch(await form.getAttribute("action") ?? "", /\/user\/ada\/proxy\/\d+\/[\w-]{36}$/);
  await form.locator("input").fill(address);
  const opened = context.waitForEvent("page");
  await form.locator("button").click();
  const answer = await opened;
  await answer.getByRole("heading", { name: "Your answer has arrived" }).waitFor();
  const result = await running.waitFor(({ type }) => type === "execute_result");
  assertStringIncludes(result.content.data!["text/plain"]!, "analyst@example.com");
  assert(!JSON.stringify(running.messages).includes(new URL(address).searchParams.get("code")!));
});
