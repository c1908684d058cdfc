import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Browser, Page } from "playwright-core";
import { toFileUrl } from "@std/path";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { hasChromium, openWindow, scan, startChromium, textsIn } from "../support/chromium.ts";
import { testWith, whyWithout } from "../support/test_with.ts";
import { hasJupyter, type KernelMessage, runNotebook, toHtml } from "../support/jupyter.ts";
import { type NotebookWorld, quickstart, startNotebookWorld } from "./notebook_world.ts";

/** The themes of JupyterLab. */
const THEMES = ["light", "dark"] as const;

const isDisplay = ({ type }: KernelMessage) => type === "display_data";

const whyNot = whyWithout("jupyter", hasJupyter) ?? whyWithout("chromium", hasChromium);

testWith({ whyNot })(
  "a person signs in from the rendered notebook, in Chromium, and the wait ends",
  async () => {
    await using world = await startNotebookWorld();
    await using browser = await startChromium();
    const file = await world.write(await quickstart(), "quickstart.ipynb");
    await using running = runNotebook(world.home, file);
    const shown = (await running.waitFor(isDisplay)).content;
    const data = shown.data!;
    const pageToOpen = /http\S+user_code=\S+/.exec(data["text/plain"]!)![0];
    const code = new URL(pageToOpen).searchParams.get("user_code")!;

    const rendered = [];
    for (const theme of THEMES) {
      const output = await renderOutput(world, browser, theme, data);
      await assertReadable(output, code);
      assertEquals(await scan(output.output.locator("svg")), pageToOpen, theme);
      rendered.push(output);
    }
    await assertCopies(rendered[0]!, code);

    await approve(rendered[0]!, code);
    const isEnd = ({ type, content }: KernelMessage) =>
      type === "update_display_data" && content.data!["text/plain"]!.startsWith("Signed in");
    const end = (await running.waitFor(isEnd)).content;
    await running.waitFor(({ type }) => type === "ended");
    assertEquals(end.transient, shown.transient);
    assertEquals(running.messages.filter(isDisplay).length, 1);
    for (const theme of THEMES) {
      const { output } = await renderOutput(world, browser, theme, end.data!);
      const texts = await textsIn(output);
      assertStringIncludes(texts.map(({ text }) => text).join(" "), "analyst@example.com");
      assertContrast(texts);
    }
    assertNoSecret(running.messages, await world.tokens());
  },
);

/** Shows what the kernel displayed at the first cell, rendered by Jupyter with one of its themes. */
async function renderOutput(
  world: NotebookWorld,
  browser: Browser,
  theme: (typeof THEMES)[number],
  data: Record<string, string>,
) {
  const notebook = await quickstart();
  const cell = notebook.cells.find(({ cell_type }) => cell_type === "code")!;
  const outputs = [{ output_type: "display_data", data, metadata: {} }];
  const name = `rendered-${theme}-${crypto.randomUUID()}`;
  await world.write({ ...notebook, cells: [{ ...cell, outputs }] }, `${name}.ipynb`);
  await toHtml(world.home, name, theme);
  const context = await openWindow(browser, {
    viewport: { width: 700, height: 640 },
    deviceScaleFactor: 1.5,
    colorScheme: theme,
  });
  const page = await context.newPage();
  await page.goto(toFileUrl(`${world.home.path}/${name}.html`).href);
  return { page, output: page.locator(".vm-auth") };
}

type RenderedOutput = Awaited<ReturnType<typeof renderOutput>>;

async function assertReadable({ output }: RenderedOutput, code: string): Promise<void> {
  const texts = await textsIn(output);
  assertContrast(texts);
  const seen = texts.find(({ text }) => text === code);
  assert(seen !== undefined && seen.size >= 24, "the code is not large");
  for (const text of ["Copy", "Waiting for approval, expires in "]) {
    assert(texts.some((one) => one.text.startsWith(text)), `no "${text}"`);
  }
}

function assertContrast(texts: Awaited<ReturnType<typeof textsIn>>): void {
  assert(texts.length > 2);
  for (const { text, contrast, size } of texts) {
    assert(contrast >= 4.5, `"${text}" has a contrast of ${contrast.toFixed(1)}`);
    assert(size >= 13, `"${text}" is set in ${size} px`);
  }
}

/** By the button, and by one click on the code where scripts are off. */
async function assertCopies({ page, output }: RenderedOutput, code: string): Promise<void> {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await output.getByRole("button").click();
  await output.getByText("Copied").waitFor();
  assertEquals(await page.evaluate("navigator.clipboard.readText()"), code);
  await output.locator("samp").click();
  assertEquals(await page.evaluate("String(getSelection())"), code);
}

/** Opens the link as a person does, and goes through the provider's pages. */
async function approve({ page, output }: RenderedOutput, code: string): Promise<void> {
  const opening = page.context().waitForEvent("page");
  await output.getByRole("link", { name: /^http/ }).click();
  const tab = await opening;
  await tab.getByText(code).waitFor();
  assertEquals(await tab.evaluate("opener"), null);
  await proceed(tab, "Sign-in");
  await tab.locator("[name=login]").fill("analyst@example.com");
  await tab.locator("[name=password]").fill("any");
  await proceed(tab, "Authorize");
  await proceed(tab, "Sign-in Success");
}

async function proceed(tab: Page, title: string): Promise<void> {
  await tab.locator("button:not([name=abort])").first().click();
  await tab.getByRole("heading", { name: title, exact: true }).waitFor();
}
