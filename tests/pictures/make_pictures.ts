/**
 * Makes README's pictures anew, from what the code really shows: `deno task pictures`. Needs Jupyter,
 * Chromium and util-linux's `script`, as the tests of the notebook do.
 */
import type { Browser } from "playwright-core";
import { openNotebookPrompt } from "../../client/prompt/notebook_prompt.ts";
import { renderOutput, THEMES } from "../notebooks/render_output.ts";
import { startNotebookWorld } from "../notebooks/notebook_world.ts";
import { captureTerminal } from "../support/terminal.ts";
import { openWindow, startChromium } from "../support/chromium.ts";
import { terminalHtml } from "./terminal_html.ts";

const FOLDER = new URL("./", import.meta.url);
const OPEN = new URL("../../client/prompt/open_prompt.ts", import.meta.url).href;
const LEFT_MS = 872_000;
const PAGE = {
  issuer: "https://login.example.com",
  url: "https://login.example.com/activate?user_code=WDJB-MJHT",
  shortUrl: "https://login.example.com/activate",
  code: { text: "WDJB-MJHT", isFilledIn: true },
};

async function notebookPictures(browser: Browser): Promise<void> {
  const data = await displayed();
  await using world = await startNotebookWorld();
  for (const theme of THEMES) {
    const { cell } = await renderOutput(world, browser, theme, data);
    await cell.screenshot({ path: fileOf(`notebook-${theme}.png`) });
  }
}

/** What a notebook is sent when it asks. */
async function displayed(): Promise<Record<string, string>> {
  let data: Record<string, string> = {};
  const broadcast = (_: string, content: Record<string, unknown>) => {
    data = content.data as Record<string, string>;
    return Promise.resolve();
  };
  const page = { ...PAGE, expiresAt: new Date(LEFT_MS) };
  const prompt = await openNotebookPrompt({ broadcast }, { page, now: () => 0 });
  const asked = data;
  await prompt.end({ kind: "interrupted" });
  return asked;
}

async function terminalPicture(browser: Browser): Promise<void> {
  const code = `
    import { openPrompt } from ${JSON.stringify(OPEN)};
    const { left, ...page } = JSON.parse(Deno.args[0]);
    await openPrompt({ page: { ...page, expiresAt: new Date(left) }, now: () => 0 });
    setTimeout(() => Deno.exit(), 100);
  `;
  const args = [JSON.stringify({ ...PAGE, left: LEFT_MS })];
  const { text } = await captureTerminal({ code, args, columns: 84 });
  const context = await openWindow(browser, { deviceScaleFactor: 1.5 });
  const page = await context.newPage();
  await page.setContent(terminalHtml("deno run -A script.ts", text));
  await page.locator("main").screenshot({ path: fileOf("terminal.png") });
}

function fileOf(name: string): string {
  return new URL(name, FOLDER).pathname;
}

if (import.meta.main) {
  await using browser = await startChromium();
  await notebookPictures(browser);
  await terminalPicture(browser);
}
