import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { openNotebookPrompt } from "../../../client/prompt/open_prompt.ts";
import type { Outcome, SignInPage } from "../../../client/prompt/prompt.ts";
import { decodeModules } from "../../support/decode_qr.ts";

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

/** A prompt in a kernel that takes down what is displayed. */
async function open(page: SignInPage = PAGE) {
  const kernel = { messages: [] as Message[], isBroken: false };
  const broadcast = (type: string, content: Record<string, unknown>) => {
    if (kernel.isBroken) return Promise.reject(new Error("gone"));
    const { data, transient } = content as {
      data: Record<string, string>;
      transient: { display_id: string };
    };
    kernel.messages.push({ type, data, id: transient.display_id });
    return Promise.resolve();
  };
  const prompt = await openNotebookPrompt({ broadcast }, { page, now: () => NOW });
  const last = () => {
    const { "text/html": html, "text/plain": text } = kernel.messages.at(-1)!.data;
    return { html: html!, text: text! };
  };
  return { kernel, prompt, last };
}

Deno.test("prompt in a notebook: one display, which only a note and the end change", async () => {
  const { kernel, prompt, last } = await open();
  await prompt.note("Hear.");
  assertStringIncludes(last().html, "Hear.");
  await prompt.end(SIGNED_IN);
  await prompt.note("too late");
  const types = ["display_data", "update_display_data", "update_display_data"];
  assertEquals(kernel.messages.map(({ type }) => type), types);
  assertEquals(new Set(kernel.messages.map(({ id }) => id)).size, 1);
  kernel.isBroken = true; // which costs the display alone
  await prompt.end({ kind: "denied" });
  assertEquals(kernel.messages.length, 3);
  const broadcast = () => Promise.reject(new Error("no display"));
  await assertRejects(() => openNotebookPrompt({ broadcast }, { page: PAGE, now: () => NOW }));
});

Deno.test("prompt in a notebook: link, code and end are there without scripts, and as text", async () => {
  const { last } = await open();
  const [html] = last().html.split("<script>");
  const link = `<a href="https://login.example.com/activate?user_code=WDJB-MJHT&#38;a=b" ` +
    `target="_blank" rel="noopener noreferrer">https://login.example.com/activate</a>`;
  assertStringIncludes(html!, link);
  assertStringIncludes(html!, "<samp>WDJB-MJHT</samp>");
  const end = /\d{4}-\d\d-\d\d \d\d:\d\d \S+/;
  assertMatch(html!, new RegExp(`The code ends at ${end.source}\\. Was this page reloaded\\?`));
  assertEquals(/<(button|form|input)|expires in|Waiting/.test(html!), false, "untrue when saved");
  assertMatch(last().text, new RegExp(`the code ends at ${end.source}\\)`));
  for (const part of [PAGE.url, "WDJB-MJHT"]) assertStringIncludes(last().text, part);

  const { code: _, ...page } = PAGE;
  const without = (await open(page)).last();
  assertEquals(without.html.split("<script>")[0]!.includes("<samp>"), false);
  assertStringIncludes(without.html, "The link ends at ");
  assertStringIncludes(without.text, "the link ends at ");
});

Deno.test("prompt in a notebook: the picture can be scanned, with a quiet zone around", async () => {
  const { html } = (await open()).last();
  const size = Number(/viewBox="0 0 (\d+) \1"/.exec(html)![1]);
  const modules = Array.from({ length: size }, () => Array<boolean>(size).fill(false));
  const dark = /fill="#000" d="([^"]+)"/.exec(html)![1]!;
  for (const [, x, y, length] of dark.matchAll(/M(\d+) (\d+)h(\d+)v1h-\3z/g)) {
    for (let i = 0; i < Number(length); i++) modules[Number(y)]![Number(x) + i] = true;
  }
  assertEquals(decodeModules(modules), PAGE.url);
  const isEmpty = (line: boolean[]) => line.every((dark) => !dark);
  assert(modules.slice(0, 4).every(isEmpty) && modules.slice(-4).every(isEmpty));
  assert(modules.every((row) => isEmpty(row.slice(0, 4)) && isEmpty(row.slice(-4))));
});

Deno.test("prompt in a notebook: no link, code, picture or style sheet is left after the end", async () => {
  for (const kind of ["signed_in", "denied", "expired", "interrupted", "error"] as const) {
    const { prompt, last } = await open();
    await prompt.end(kind === "signed_in" ? SIGNED_IN : { kind });
    for (const text of Object.values(last())) {
      assertEquals(/<(a|svg|samp|script|style)\b|WDJB|activate/.test(text), false, kind);
    }
    assertStringIncludes(last().html, kind === "signed_in" ? ">Signed in as ada@" : "✕");
    assertMatch(last().text, kind === "signed_in" ? /^Signed in as ada@/ : /\.$/);
  }
});

Deno.test("prompt in a notebook: what comes from outside is text", async () => {
  const code = { text: HOSTILE, isFilledIn: false };
  const page = { ...PAGE, issuer: HOSTILE, url: HOSTILE, shortUrl: HOSTILE, code };
  const { kernel, prompt, last } = await open(page);
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
  assertStringIncludes(last().html, "&#60;img src=x");
});
