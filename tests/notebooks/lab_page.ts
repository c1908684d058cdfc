import type { Browser, Locator, Page } from "playwright-core";
import { openWindow } from "../support/chromium.ts";

/** Longer than a Deno kernel takes to start on a busy machine. */
const TIMEOUT_MS = 120_000;

/** A notebook that is open in JupyterLab. */
export class LabPage {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
    page.setDefaultTimeout(TIMEOUT_MS);
  }

  /** A code cell: its source and its output. */
  cell(index: number): Locator {
    return this.page.locator(".jp-Notebook .jp-CodeCell").nth(index);
  }

  /** What a cell has displayed. */
  output(index: number): Locator {
    return this.cell(index).locator(".jp-OutputArea-output");
  }

  /** Opens a notebook, or opens it anew, and waits for its kernel unless that is busy. */
  async open(address: string, { isBusy = false } = {}): Promise<void> {
    await this.page.goto(address);
    await this.cell(0).waitFor();
    if (!isBusy) await this.page.getByText("Deno | Idle").waitFor();
  }

  /** Runs a cell, as a person does. */
  async run(index: number): Promise<void> {
    await this.cell(index).locator(".jp-InputArea-editor").click();
    await this.page.keyboard.press("Control+Enter");
  }

  /** Saves the notebook, and waits until that is done. */
  async save(): Promise<void> {
    const saved = this.page.waitForResponse((response) => {
      const request = response.request();
      return request.method() === "PUT" && response.url().includes("/api/contents/");
    });
    await this.page.keyboard.press("Control+s");
    await saved;
  }
}

/** A window of a person, with an empty profile. */
export async function openLab(browser: Browser, options: Parameters<typeof openWindow>[1] = {}) {
  const viewport = { width: 960, height: 720 };
  return new LabPage(await (await openWindow(browser, { viewport, ...options })).newPage());
}
