/**
 * Makes the pictures of the pages anew, from what JupyterLab and a terminal really show:
 * `deno task pictures`. Needs what the live tests of the notebook need (`deno task servers`,
 * Chromium), and util-linux's `script`.
 *
 * The provider on this machine is named login.example.com on the pictures, the API api.example.com, the
 * registry jsr.io, and the person's folder /home/ada. Nothing else is touched up.
 */
import type { Browser } from "playwright-core";
import { type NotebookWorld, startNotebookWorld } from "../../notebooks/notebook_world.ts";
import { type LabPage, openLab } from "../../notebooks/lab_page.ts";
import { codeCells } from "../../support/jupyter.ts";
import { openWindow, startChromium } from "../../support/chromium.ts";
import { startOidcProvider } from "../../support/oidc_provider.ts";
import { startJupyterLab } from "../../support/servers/jupyterlab.ts";
import { json, startHttpServer } from "../../support/http_server.ts";
import { tempDir } from "../../support/temp_home.ts";
import { captureTerminal } from "../../support/terminal.ts";
import { renamedIn } from "../../support/in_page.js";
import { DRAWINGS } from "./drawings.ts";
import { terminalHtml } from "./terminal_html.ts";

const FOLDER = new URL("./", import.meta.url);
const ISSUER = "https://login.example.com";
const API = "https://api.example.com";
/** A column of the terminal is then twelve pixels, and a QR code has no seams. */
const SCALE = 4 / 3;
/** The long link of the browser flow, and its cells, would make files of more than 60 KB. */
const TERMINALS = [["device", "terminal.png", SCALE], [
  "browser",
  "terminal-browser.png",
  1,
]] as const;
/** The moves of the cursor where a terminal reads a line. */
// deno-lint-ignore no-control-regex -- a terminal is sent escape codes
const MOVES = /\r?\x1b\[(\?\d+[hl]|K|\d+C)/g;
const SIGN_IN = `import * as vm from "jsr:@validmind/auth";\n\nconst session = await vm.init();`;
const BROWSER = SIGN_IN.replace("init()", `init({ flow: "browser" })`);

/** In JupyterLab, by a real kernel, in its light theme and in its dark one. */
async function notebookPictures(browser: Browser): Promise<void> {
  await using world = await startNotebookWorld();
  for (const [theme, suffix] of [["JupyterLab Light", ""], ["JupyterLab Dark", "-dark"]] as const) {
    await world.write(codeCells(SIGN_IN, "session;"), "device.ipynb");
    await world.write(codeCells(BROWSER, "session;"), "browser.ipynb");
    const overrides = { "@jupyterlab/apputils-extension:themes": { theme } };
    await using lab = await startJupyterLab(world.home, overrides);
    const viewport = { width: 860, height: 720 };
    const open = async (name: string, deviceScaleFactor: number) => {
      const person = await openLab(browser, { deviceScaleFactor, viewport });
      await person.open(lab.addressOf(name));
      await person.page.keyboard.press("Control+b"); // closes the list of files
      await person.run(0);
      return person;
    };
    const person = await open("device.ipynb", SCALE);
    await person.output(0).locator("samp").waitFor();
    await take(world, person, `notebook${suffix}.png`);

    const text = await person.output(0).innerText();
    await world.provider.approve(/[A-Z]{4}-[A-Z]{4}/.exec(text)![0]);
    await person.output(0).getByText("Signed in as").waitFor();
    await take(world, person, `notebook-signed-in${suffix}.png`);

    await Deno.remove(`${world.home.path}/.validmind`, { recursive: true });
    const other = await open("browser.ipynb", 1);
    await other.output(0).locator(".vm-auth-wait").waitFor();
    await take(world, other, `notebook-browser${suffix}.png`);
  }
}

/** Takes the first cell of a notebook, without the frame of the chosen one. */
async function take({ provider, home }: NotebookWorld, person: LabPage, name: string) {
  const { page } = person;
  const names = [[provider.issuer, ISSUER], [home.path, "/home/ada"]];
  await page.evaluate(renamedIn, [...names, [home.env.JSR_URL!, "https://jsr.io"]]);
  await page.locator(".jp-Notebook-footer").click();
  await page.mouse.move(0, 0);
  await person.cell(0).screenshot({ path: fileOf(name) });
}

/** The same sign-ins in a terminal. */
async function terminalPictures(browser: Browser): Promise<void> {
  await using provider = await startOidcProvider();
  for (const [flow, name, scale] of TERMINALS) {
    const { issuer, clientId } = provider;
    const options = JSON.stringify({ flow, issuer, clientId, scope: "openid offline_access" });
    const code = `
      import { createSession, MemoryCredentialsBackend } from "@validmind/auth";
      const credentialsBackend = new MemoryCredentialsBackend();
      setTimeout(() => Deno.exit(), 2000);
      await createSession({ ...${options}, credentialsBackend, openBrowser: false });
    `;
    const { text } = await captureTerminal({ code, flags: ["-A"], columns: 84 });
    await picture(browser, text.replaceAll(provider.issuer, ISSUER), name, scale);
  }
}

/** How a person with an API's address alone comes to the settings. */
async function addressPicture(browser: Browser): Promise<void> {
  await using home = await tempDir();
  await using api = startHttpServer((request) => {
    const { origin } = new URL(request.url);
    const authorization_servers = [`${origin}/login`];
    return json({ resource: `${origin}/v1/`, authorization_servers, scopes_supported: ["things"] });
  });
  const command = (
    origin: string,
  ) => ["config", "discover", `${origin}/v1/`, "--client-id", "my-client"];
  const code = `
    import { runCli } from "@validmind/auth/cli";
    await runCli(${JSON.stringify(command(api.origin))});
  `;
  let hasAnswered = false;
  const onText = (text: string) => {
    if (hasAnswered || !text.includes("issuers:")) return undefined;
    hasAnswered = true;
    return "y\r";
  };
  const env = { HOME: home.path };
  const { text } = await captureTerminal({ code, flags: ["-A"], columns: 84, env, onText });
  const names = { [`${api.origin}/login`]: ISSUER, [api.origin]: API, [home.path]: "/home/ada" };
  let shown = text.replace(MOVES, "").trimEnd();
  for (const [own, name] of Object.entries(names)) {
    // The columns stay where they are.
    shown = shown.replace(
      new RegExp(`${own}(\\S*)( {2,})?`, "g"),
      (found, rest, gap) => gap === undefined ? name + rest : `${name}${rest}`.padEnd(found.length),
    );
  }
  const line = ["validmind-auth", ...command(API)].join(" ");
  await picture(browser, shown, "terminal-address.png", 1, line);
}

async function picture(
  browser: Browser,
  text: string,
  name: string,
  deviceScaleFactor: number,
  command = "deno run -A script.ts",
): Promise<void> {
  const page = await (await openWindow(browser, { deviceScaleFactor })).newPage();
  await page.setContent(terminalHtml(command, text));
  await page.locator("main").screenshot({ path: fileOf(name) });
}

function fileOf(name: string): string {
  return new URL(name, FOLDER).pathname;
}

if (import.meta.main) {
  for (const [name, svg] of Object.entries(DRAWINGS)) await Deno.writeTextFile(fileOf(name), svg);
  await using browser = await startChromium();
  await notebookPictures(browser);
  await terminalPictures(browser);
  await addressPicture(browser);
}
