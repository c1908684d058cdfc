import type { Browser, Locator, Page } from "playwright-core";
import { toFileUrl } from "@std/path";
import { openWindow } from "../support/chromium.ts";
import { nbconvert, type Notebook } from "../support/jupyter.ts";
import { type NotebookWorld, quickstart } from "./notebook_world.ts";

/** The themes of JupyterLab. */
export const THEMES = ["light", "dark"] as const;

/** A page with the output of the first cell, as JupyterLab shows it. */
export interface RenderedOutput {
  page: Page;
  /** What this module displayed. */
  output: Locator;
}

/** Shows what the kernel displayed at the first cell, rendered by Jupyter with one of its themes. */
export async function renderOutput(
  world: NotebookWorld,
  browser: Browser,
  theme: (typeof THEMES)[number],
  data: Record<string, string>,
): Promise<RenderedOutput> {
  const notebook = await quickstart();
  const cell = notebook.cells.find(({ cell_type }) => cell_type === "code")!;
  cell.outputs = [{ output_type: "display_data", data, metadata: {} }];
  const name = `rendered-${theme}-${crypto.randomUUID()}`;
  const file = await world.write({ ...notebook, cells: [cell] } as Notebook, `${name}.ipynb`);
  await nbconvert(world.home, file, name, ["--to", "html", `--HTMLExporter.theme=${theme}`]);
  const context = await openWindow(browser, {
    viewport: { width: 700, height: 640 },
    deviceScaleFactor: 1.5,
    colorScheme: theme,
  });
  const page = await context.newPage();
  await page.goto(toFileUrl(`${world.home.path}/${name}.html`).href);
  return { page, output: page.locator(".vm-auth") };
}
