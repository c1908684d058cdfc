import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { openNotebookPrompt } from "../../../client/prompt/open_prompt.ts";
import type { Outcome, SignInPage } from "../../../client/prompt/prompt.ts";
import { ManualIntervals } from "../../support/manual_intervals.ts";

const NOW = 1_800_000_000_000;
const PAGE: SignInPage = {
  issuer: "https://login.example.com",
  url: "https://login.example.com/activate?user_code=WDJB-MJHT&a=b",
  shortUrl: "https://login.example.com/activate",
  code: { text: "WDJB-MJHT", isFilledIn: true },
  expiresAt: new Date(NOW + 900_000),
};
const SIGNED_IN: Outcome = {
  kind: "signed_in",
  who: "ada@example.com",
  expiresAt: NOW + 3_600_000,
  place: "/home/ada/credentials.json",
  isRefreshable: true,
};
/** Markup, an escape sequence, and a text that turns around. */
const HOSTILE = `<img src=x onerror="alert('1')">&\x1b[31m\u202egnp.\u2066`;

interface Message {
  type: string;
  data: Record<string, string>;
  id: string;
}

/** A kernel that takes down what is displayed. */
function fakeKernel() {
  const messages: Message[] = [];
  const broadcast = (type: string, content: Record<string, unknown>) => {
    const { data, transient } = content as {
      data: Record<string, string>;
      transient: { display_id: string };
    };
    messages.push({ type, data, id: transient.display_id });
    return Promise.resolve();
  };
  const html = () => messages.at(-1)!.data["text/html"]!;
  const text = () => messages.at(-1)!.data["text/plain"]!;
  return { messages, broadcast, html, text };
}

Deno.test("prompt in a notebook: one display, which only a note and the end change", async () => {
  using intervals = new ManualIntervals();
  const kernel = fakeKernel();
  const prompt = await openNotebookPrompt(kernel, { page: PAGE, now: () => NOW });
  assertEquals(intervals.count, 0, "each new display takes away the focus and the selection");
  await prompt.note("Hear.");
  assertStringIncludes(kernel.html(), "Hear.");
  await prompt.end(SIGNED_IN);
  assertEquals(kernel.messages.map(({ type }) => type), [
    "display_data",
    "update_display_data",
    "update_display_data",
  ]);
  assertEquals(new Set(kernel.messages.map(({ id }) => id)).size, 1);
  await prompt.note("too late");
  assertEquals(kernel.messages.length, 3);
});

Deno.test("prompt in a notebook: without scripts it tells the end by the clock, with the zone", async () => {
  const kernel = fakeKernel();
  const prompt = await openNotebookPrompt(kernel, { page: PAGE, now: () => NOW });
  const end = /\d{4}-\d\d-\d\d \d\d:\d\d \S+/;
  const [html] = kernel.html().split("<script>");
  assertMatch(html!, new RegExp(`The code ends at ${end.source}\\. Was this page reloaded\\?`));
  assertMatch(kernel.text(), new RegExp(`the code ends at ${end.source}\\)`));
  assertEquals(/expires in|Waiting/.test(html!), false, "untrue as soon as it is saved");
  await prompt.end(SIGNED_IN);
});

Deno.test("prompt in a notebook: a link in a new tab, the code, and both as text", async () => {
  const kernel = fakeKernel();
  const prompt = await openNotebookPrompt(kernel, { page: PAGE, now: () => NOW });
  const link = `<a href="https://login.example.com/activate?user_code=WDJB-MJHT&#38;a=b" ` +
    `target="_blank" rel="noopener noreferrer">https://login.example.com/activate</a>`;
  assertStringIncludes(kernel.html(), link);
  assertStringIncludes(kernel.html(), "<samp>WDJB-MJHT</samp>");
  assertStringIncludes(kernel.html(), "<svg");
  assertEquals(/<(button|form|input)/.test(kernel.html()), false, "dead without scripts");
  assertStringIncludes(kernel.text(), PAGE.url);
  assertStringIncludes(kernel.text(), "WDJB-MJHT");
  await prompt.end(SIGNED_IN);
});

Deno.test("prompt in a notebook: a page without a code has neither a code nor its button", async () => {
  const kernel = fakeKernel();
  const { code: _1, ...page } = PAGE;
  const prompt = await openNotebookPrompt(kernel, { page, now: () => NOW });
  const [html] = kernel.html().split("<script>");
  assertEquals(html!.includes("<samp>"), false);
  assertStringIncludes(html!, "The link ends at ");
  assertStringIncludes(kernel.text(), "the link ends at ");
  assertEquals(kernel.text().includes("this code"), false);
  await prompt.end(SIGNED_IN);
});

Deno.test("prompt in a notebook: no link, code, picture or style sheet is left after the end", async () => {
  for (const kind of ["signed_in", "denied", "expired", "interrupted", "failed"] as const) {
    const kernel = fakeKernel();
    const prompt = await openNotebookPrompt(kernel, { page: PAGE, now: () => NOW });
    await prompt.end(kind === "signed_in" ? SIGNED_IN : { kind });
    for (const text of [kernel.html(), kernel.text()]) {
      assertEquals(/<(a|svg|samp|script|style)\b|WDJB|activate/.test(text), false, kind);
    }
    assertStringIncludes(kernel.html(), kind === "signed_in" ? ">Signed in as ada@" : "✕");
    assertMatch(kernel.text(), kind === "signed_in" ? /^Signed in as ada@/ : /\.$/);
  }
});

Deno.test("prompt in a notebook: what comes from outside is text", async () => {
  const kernel = fakeKernel();
  const code = { text: HOSTILE, isFilledIn: false };
  const page = { ...PAGE, issuer: HOSTILE, url: HOSTILE, shortUrl: HOSTILE, code };
  const prompt = await openNotebookPrompt(kernel, { page, now: () => NOW });
  await prompt.note(HOSTILE);
  await prompt.end({ ...SIGNED_IN, who: HOSTILE, place: HOSTILE, isRefreshable: false });
  for (const { data } of kernel.messages) {
    const html = data["text/html"]!.replace(/<style>[^]*<\/style>|<script>[^]*<\/script>/g, "");
    assertEquals(/<(?!\/?(div|p|ol|li|a|span|samp|strong|svg|path)\b)/.test(html), false);
    assertEquals(/onerror=["']|&(?!#\d+;)/.test(html), false);
    for (const text of Object.values(data)) {
      assertEquals(/[\p{Cf}\p{Cc}]/u.test(text.replaceAll("\n", "")), false);
    }
  }
  assertStringIncludes(kernel.html(), "&#60;img src=x");
});

Deno.test("prompt in a notebook: a display that fails later costs the display alone", async () => {
  const kernel = fakeKernel();
  let isBroken = false;
  const broadcast: typeof kernel.broadcast = (type, content) =>
    isBroken ? Promise.reject(new Error("gone")) : kernel.broadcast(type, content);
  const prompt = await openNotebookPrompt({ broadcast }, { page: PAGE, now: () => NOW });
  isBroken = true;
  await prompt.note("Lost.");
  await prompt.end({ kind: "denied" });
  assertEquals(kernel.messages.length, 1);
});

Deno.test("prompt in a notebook: a kernel that cannot display fails at once", async () => {
  const broadcast = () => Promise.reject(new Error("no display"));
  await assertRejects(() => openNotebookPrompt({ broadcast }, { page: PAGE, now: () => NOW }));
});
