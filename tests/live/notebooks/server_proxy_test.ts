/** jupyter-server-proxy itself between a person's browser and the listener, as on a hub. */
import { assert, assertMatch, assertStringIncludes } from "@std/assert";
import { openWindow, startChromium } from "../../support/chromium.ts";
import { codeCells, runNotebook } from "../../support/jupyter.ts";
import { makeLocalCa } from "../../support/local_ca.ts";
import { tempDir } from "../../support/temp_home.ts";
import { freePort } from "../../support/servers/free_port.ts";
import { serverBinary } from "../../support/servers/servers.ts";
import { startServerProcess } from "../../support/servers/server_process.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { startNotebookWorld } from "../../notebooks/notebook_world.ts";

const { test } = await liveTests("jupyter-server-proxy");

/** Starts a person's notebook server as a hub does, by `https:` with a certificate that nobody trusts. */
async function startNotebookServer() {
  const python = await serverBinary("jupyter-server-proxy");
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await tempDir());
  const { cert, key } = await (await makeLocalCa()).issue(["localhost"]);
  await Deno.writeTextFile(`${path}/cert.pem`, cert);
  await Deno.writeTextFile(`${path}/key.pem`, key);
  const [port, token, prefix] = [freePort(), crypto.randomUUID(), "/user/ada/"];
  const server = await startServerProcess({
    command: [
      python,
      "-m",
      "jupyter_server",
      "--no-browser",
      "--allow-root",
      "--ip=127.0.0.1",
      `--port=${port}`,
      "--ServerApp.port_retries=0",
      `--ServerApp.base_url=${prefix}`,
      `--ServerApp.root_dir=${path}`,
      `--IdentityProvider.token=${token}`,
      `--certfile=${path}/cert.pem`,
      `--keyfile=${path}/key.pem`,
    ],
    readyOn: "stderr",
    ready: /(https:\/\/127\.0\.0\.1:\d+)\//,
    env: {
      HOME: path,
      JUPYTER_CONFIG_DIR: `${path}/config`,
      JUPYTER_DATA_DIR: `${path}/data`,
      JUPYTER_RUNTIME_DIR: `${path}/runtime`,
    },
  });
  stack.defer(() => server.end("TERM"));
  const started = stack.move();
  return {
    origin: `https://127.0.0.1:${port}`,
    prefix,
    token,
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

test("jupyter-server-proxy: the form in a real kernel's output hands in the address", async () => {
  await using server = await startNotebookServer();
  await using world = await startNotebookWorld();
  const source = `import * as vm from "jsr:@validmind/auth";
    const session = await vm.init({ flow: "browser" }); (await session.status()).email`;
  const file = await world.write(codeCells(source), "form.ipynb");
  const env = { ...world.home.env, JUPYTERHUB_SERVICE_PREFIX: server.prefix };
  await using running = runNotebook({ ...world.home, env }, file);
  const { content } = await running.waitFor(({ type }) => type === "display_data");
  const link = /http\S+\/auth\?\S+/.exec(content.data!["text/plain"]!)![0];
  const stopAt = new URL(link).searchParams.get("redirect_uri")!;
  const { url: address } = await world.provider.follow(link, { stopAt });

  await using browser = await startChromium();
  const context = await openWindow(browser, { ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await page.goto(`${server.origin}${server.prefix}tree?token=${server.token}`);
  const lab = `${server.origin}${server.prefix}lab`;
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
