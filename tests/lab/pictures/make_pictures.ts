/**
 * Makes the pictures of the pages anew, from what JupyterLab, a hub, a terminal and a log really show:
 * `deno task pictures`. Needs what the live tests of the notebook need (`deno task servers`,
 * Chromium), and util-linux's `script`.
 *
 * The provider on this machine is named login.example.com on the pictures, and the person's folder
 * /home/ada. Nothing else is touched up.
 */
import type { Browser } from "playwright-core";
import { type NotebookWorld, startNotebookWorld } from "../../notebooks/notebook_world.ts";
import { type LabPage, openLab } from "../../notebooks/lab_page.ts";
import { codeCells } from "../../support/jupyter.ts";
import { runDeno } from "../../support/deno_process.ts";
import { openWindow, startChromium } from "../../support/chromium.ts";
import { startOidcProvider } from "../../support/oidc_provider.ts";
import { startJupyterLab } from "../../support/servers/jupyterlab.ts";
import { captureTerminal } from "../../support/terminal.ts";
import { renamedIn } from "../../support/in_page.js";
import { DRAWINGS } from "./drawings.ts";
import { hubPictures } from "./hub_pictures.ts";
import { terminalHtml } from "./terminal_html.ts";

const FOLDER = new URL("./", import.meta.url);
const ISSUER = "https://login.example.com";
const SCALE = 1.4;
/** The long links of the browser flow would make files of more than 60 KB. */
const SMALL_SCALE = 1;
const SIGN_IN = `import * as vm from "jsr:@validmind/auth";\n\nconst session = await vm.init();`;
const BROWSER = SIGN_IN.replace("init()", `init({ flow: "browser" })`);

/** In JupyterLab, by a real kernel. */
async function notebookPictures(browser: Browser): Promise<void> {
  await using world = await startNotebookWorld();
  await world.write(codeCells(SIGN_IN, "session;"), "device.ipynb");
  await world.write(codeCells(BROWSER, "session;"), "browser.ipynb");
  await using lab = await startJupyterLab(world.home);
  const viewport = { width: 860, height: 720 };
  const person = await openLab(browser, { deviceScaleFactor: SCALE, viewport });
  const open = async (name: string) => {
    await person.open(lab.addressOf(name));
    await person.page.keyboard.press("Control+b"); // closes the list of files
  };
  await open("device.ipynb");
  await person.run(0);
  await person.output(0).locator("samp").waitFor();
  await take(world, person, "notebook.png");

  const text = await person.output(0).innerText();
  await world.provider.approve(/[A-Z]{4}-[A-Z]{4}/.exec(text)![0]);
  await person.output(0).getByText("Signed in as").waitFor();
  await take(world, person, "notebook-signed-in.png");
  await person.run(0);
  await person.page.getByText("[2]:").waitFor();
  await take(world, person, "notebook-again.png");

  await Deno.remove(`${world.home.path}/.validmind`, { recursive: true });
  await open("browser.ipynb");
  await person.run(0);
  await person.output(0).locator(".vm-auth-wait").waitFor();
  await take(world, person, "notebook-browser.png");
}

/** Takes the first cell of a notebook, without the frame of the chosen one. */
async function take(
  { provider, home }: NotebookWorld,
  person: LabPage,
  name: string,
): Promise<void> {
  const { page } = person;
  await page.evaluate(renamedIn, [[provider.issuer, ISSUER], [home.path, "/home/ada"]]);
  await page.locator(".jp-Notebook-footer").click();
  await page.mouse.move(0, 0);
  await person.cell(0).screenshot({ path: fileOf(name) });
}

/** The same sign-ins in a terminal, and in a log. */
async function terminalPictures(browser: Browser): Promise<void> {
  await using provider = await startOidcProvider();
  for (const flow of ["device", "browser"]) {
    const { issuer, clientId } = provider;
    const options = JSON.stringify({ flow, issuer, clientId, scope: "openid offline_access" });
    const code = `
      import { createSession, MemoryCredentialsBackend } from "@validmind/auth";
      const credentialsBackend = new MemoryCredentialsBackend();
      setTimeout(() => Deno.exit(), 2000);
      await createSession({ ...${options}, credentialsBackend, openBrowser: false });
    `;
    const suffix = flow === "device" ? "" : `-${flow}`;
    const command = "deno run -A script.ts";
    const { text } = await captureTerminal({ code, flags: ["-A"], columns: 84 });
    const named = (shown: string) => shown.replaceAll(provider.issuer, ISSUER);
    const scale = flow === "device" ? SCALE : SMALL_SCALE;
    await picture(browser, command, named(text), `terminal${suffix}.png`, scale);
    if (flow === "device") continue;
    const { stderr } = await runDeno({ code, flags: ["-A"] });
    await picture(browser, `${command} 2> log; cat log`, named(stderr), "log-browser.png", scale);
  }
}

async function picture(
  browser: Browser,
  command: string,
  text: string,
  name: string,
  deviceScaleFactor: number,
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
  await hubPictures(browser, { issuer: ISSUER, fileOf });
}
