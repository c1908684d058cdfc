import { assertEquals } from "@std/assert";
import { openNotebookPrompt } from "../../client/prompt/open_prompt.ts";
import { hasChromium, openWindow, startChromium } from "../support/chromium.ts";

const SHOWN = Date.parse("2026-11-27T09:00:00Z");
const PAGE = {
  issuer: "https://login.example.com",
  url: "https://login.example.com/activate?user_code=WDJB-MJHT",
  shortUrl: "https://login.example.com/activate",
  code: { text: "WDJB-MJHT", isFilledIn: true },
  expiresAt: new Date(SHOWN + 600_000),
};
const HINT = "Was this page reloaded? Then run the cell again after the approval.";

/** The display of a prompt. */
async function displayed(page: Parameters<typeof openNotebookPrompt>[1]["page"]): Promise<string> {
  let html = "";
  const broadcast = (_: string, content: Record<string, unknown>) => {
    html ||= (content.data as Record<string, string>)["text/html"]!;
    return Promise.resolve();
  };
  const prompt = await openNotebookPrompt({ broadcast }, { page, now: () => SHOWN });
  await prompt.end({ kind: "interrupted" });
  return html;
}

Deno.test({
  name: "the prompt of a notebook counts to its real end, whenever its page is opened, in Chromium",
  ignore: !hasChromium,
  fn: async () => {
    await using browser = await startChromium();
    const opened = async (html: string, after: number, options = {}) => {
      const page = await (await openWindow(browser, options)).newPage();
      await page.clock.install({ time: SHOWN + after });
      await page.setContent(html);
      return { page, words: () => page.locator(".vm-auth-wait").innerText() };
    };
    const html = await displayed(PAGE);

    const live = await opened(html, 1000);
    assertEquals(await live.words(), "Waiting for approval, expires in 9:59");
    await live.page.clock.runFor(60_000);
    assertEquals(await live.words(), "Waiting for approval, expires in 8:59");

    const reloaded = await opened(html, 180_000);
    assertEquals(await reloaded.words(), `Waiting for approval, expires in 7:00. ${HINT}`);
    await reloaded.page.clock.runFor(421_000);
    assertEquals(await reloaded.words(), "This code has expired. Run the cell again.");

    const strict = await opened(html, 86_400_000, { javaScriptEnabled: false });
    const text = new RegExp(`^The code ends at 2026-11-27 .+\\. ${HINT.replaceAll("?", "\\?")}$`);
    assertEquals(text.test(await strict.words()), true, await strict.words());
  },
});
