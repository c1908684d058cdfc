import type { Browser, BrowserContextOptions, Locator } from "playwright-core";
import { decodePixels } from "./decode_qr.ts";
import { pixelsOf, seenTexts } from "./in_page.js";
import { tempDir } from "./temp_home.ts";

/** Debian's Chromium; elsewhere the tests with a browser are left out. */
const PATH = "/usr/bin/chromium";

/** Nothing that Chromium does of itself reaches for the network. */
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Whether a browser can be had. */
export const hasChromium: boolean = (() => {
  try {
    return Deno.statSync(PATH).isFile;
  } catch {
    return false;
  }
})();

/** Starts Chromium with an empty profile. */
export async function startChromium(): Promise<Browser & AsyncDisposable> {
  const { chromium } = await import("playwright-core");
  const signals = { handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false };
  const home = await tempDir(); // it writes keys and reports there, beside the profile
  const env = { ...Deno.env.toObject(), HOME: home.path };
  const browser = await chromium.launch({ executablePath: PATH, args: FLAGS, env, ...signals });
  const close = async () => {
    await browser.close();
    await home[Symbol.asyncDispose]();
  };
  return Object.assign(browser, { [Symbol.asyncDispose]: close });
}

/** A window that reaches files and this machine alone. */
export async function openWindow(browser: Browser, options: BrowserContextOptions = {}) {
  const context = await browser.newContext(options);
  await context.route(
    (url) => url.protocol !== "file:" && url.hostname !== "127.0.0.1",
    (route) => route.abort(),
  );
  return context;
}

/** A text on a page, as the person sees it. */
export interface SeenText {
  text: string;
  /** In pixels. */
  size: number;
  /** WCAG 2.2's contrast ratio to what is behind it. */
  contrast: number;
}

/** Every text in an element that can be seen, with its contrast as the browser computed it. */
export async function textsIn(element: Locator): Promise<SeenText[]> {
  return await element.evaluate(seenTexts);
}

/** What a phone reads from a QR code on the screen. */
export async function scan(element: Locator): Promise<string | undefined> {
  const picture = (await element.screenshot()).toString("base64");
  const { width, height, pixels } = await element.page().evaluate(pixelsOf, picture);
  return decodePixels(new Uint8ClampedArray(pixels), width, height);
}
