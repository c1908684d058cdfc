// deno-lint-ignore-file no-control-regex -- what a terminal is sent has escape codes
import { createSession, startSignIn } from "../../../client/create_session.ts";
import { formatTime, type Outcome, type SignInPage } from "../../../client/prompt/prompt.ts";
import { decodeModules } from "../../support/decode_qr.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { replace } from "../../support/replace.ts";
import { FakeKernel } from "../../support/fake_kernel.ts";
import { OwnStreams, type OwnStreamsOptions } from "../../support/own_streams.ts";
import { scriptedProviderWorld, type ScriptedWorld, test } from "../../support/provider_world.ts";
import type { ScriptedProvider } from "../../support/scripted_provider.ts";
import { openPrompt } from "../../../client/prompt/open_prompt.ts";
import { showLine } from "../../../client/prompt/terminal.ts";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";

/** What a person sees of a sign-in on standard error; the answer of the provider may be spoilt. */
async function shown(
  { options, provider }: ScriptedWorld,
  streams: OwnStreamsOptions = {},
  device: Record<string, unknown> = {},
): Promise<string> {
  const { onDeviceCode: _, ...own } = options;
  using written = new OwnStreams(streams);
  provider.script.device.push(() => provider.device(device));
  await createSession(own).catch(() => undefined);
  assertEquals(written.written.stdout, "");
  return written.written.stderr;
}

/** The lines of a log up to the end of the sign-in. */
function log({ provider: { issuer }, clock }: ScriptedWorld, query: string): string {
  return `Sign in at ${issuer}\n` +
    `  1. Open this page      ${issuer}/activate${query}\n` +
    `  2. ${query ? "Confirm this code" : "Enter this code  "}   WDJB-MJHT\n` +
    `Waiting for your approval (the code ends at ${formatTime(clock.now() + 600_000)}) …\n`;
}

test("prompt in a log: plain lines on standard error", async (world) => {
  const { provider, clock } = world;
  for (const query of ["", "?user_code=WDJB-MJHT"]) {
    const expected = log(world, query) +
      `Signed in as analyst@example.com. The token is valid until ${
        formatTime(clock.now() + 3601_000)
      } and stored in the memory of this process.\n`;
    const verification_uri_complete = query && `${provider.issuer}/activate${query}`;
    assertEquals(await shown(world, {}, { verification_uri_complete }), expected);
    world.backend.delete(world.key);
  }
});

const ENDS: [end: (provider: ScriptedProvider) => void, words: RegExp][] = [
  [(provider) => provider.deny(), /…\nNot signed in: the sign-in was refused\.\n$/],
  [(provider) => provider.expireDeviceCodes(), /…\nNot signed in: nobody approved in time\. Try/],
  [(provider) => {
    provider.script.token.push(() => provider.tokens({ access_token: "" }));
  }, /…\nThe sign-in failed: see the error\.\n$/],
];

Deno.test("prompt in a log: the end that is no sign-in", async () => {
  for (const [end, words] of ENDS) {
    await using world = await scriptedProviderWorld();
    world.provider.autoApprove = false;
    world.clock.onDelay = () => end(world.provider);
    assertMatch(await shown(world), words);
  }
});

test("prompt in a kernel without display support: the plain lines, where the cell shows them", async (world) => {
  const lines: string[] = [];
  using _error = replace(console, "error", (text) => void lines.push(text));
  using kernel = new FakeKernel();
  kernel.onDisplay = () => {
    throw new Error("no display");
  };
  const { onDeviceCode: _, ...options } = world.options;
  await createSession(options);
  assertEquals(lines.length, 2);
  assertStringIncludes(lines[0]!, "  2. Confirm this code   WDJB-MJHT\n");
  assertMatch(lines[1]!, /^Signed in as .*\.$/);
});

test("prompt in a terminal: a code to scan above the lines of a log, where it fits", async (world) => {
  const verification_uri_complete = `${world.provider.issuer}/activate?user_code=WDJB-MJHT`;
  const at = async (columns: number, rows: number, TERM = "xterm") => {
    world.backend.delete(world.key);
    Deno.env.set("TERM", TERM);
    return await shown(world, { terminal: { columns, rows } }, { verification_uri_complete });
  };
  const expected = log(world, "?user_code=WDJB-MJHT");
  const text = await at(80, 40);
  const [code, rest] = text.split("\n\n");
  assertEquals(code!.includes("\x1b[38;5;231;48;5;16m"), !Deno.noColor);
  const lines = code!.replace(/\x1b\[[\d;]*m/g, "").split("\n");
  const modules = lines.map((line) => line.slice(2)).flatMap((line) => [
    [...line].map((character) => !"█▀".includes(character)),
    [...line].map((character) => !"█▄".includes(character)),
  ]);
  assertEquals(decodeModules(modules), verification_uri_complete);
  assert(rest!.startsWith(expected), rest);
  const [width, height] = [lines[0]!.length + 2, lines.length + 7];
  assertEquals((await at(width, height)).startsWith("Sign in at"), false);
  for (const [columns, rows] of [[width - 1, height], [width, height - 1], [0, 0]] as const) {
    assertMatch(await at(columns, rows), /^Sign in at /);
  }
  assertMatch(await at(80, 40, "dumb"), /^Sign in at /);
  world.backend.delete(world.key);
  Deno.env.set("TERM", "xterm");
  const tooLong = `${verification_uri_complete}&x=${"x".repeat(3000)}`; // for any code to scan
  const terminal = { columns: 999, rows: 999 };
  const plain = await shown(world, { terminal }, { verification_uri_complete: tooLong });
  assertMatch(plain, /^Sign in at [^]*Signed in as /);
});

const SIGNED_IN =
  /^Signed in as \S+\. The token is valid until \d{4}-\S+ \S+ \S+ and stored in .+\.$/;

test("a notebook says who is signed in where nobody was asked, and until when", async (world) => {
  const { onDeviceCode: _, ...options } = world.options;
  using kernel = new FakeKernel();
  await createSession(options);
  // The prompt has said it, so it is not said again.
  assertEquals(kernel.displays.map(({ type }) => type), ["display_data", "update_display_data"]);
  assertMatch(kernel.displays[0]!.data["text/html"]!, /Check that the page shows this code/);
  kernel.displays.length = 0;
  await createSession(options);
  const signedIn = />Signed in as \S+\.<.*token is valid until \d/;
  assertMatch(kernel.displays[0]!.data["text/html"]!, signedIn);
  world.clock.advance(7200_000);
  await createSession(options); // after a refresh
  await using signIn = await startSignIn(options); // and of a sign-in in two steps
  assertEquals([signIn.url, signIn.expiresAt], [undefined, undefined]);
  assertEquals((await (await signIn.finish()).status()).signedIn, true);
  assertEquals(kernel.displays.map(({ type }) => type), Array(3).fill("display_data"));
  for (const { data } of kernel.displays) assertMatch(data["text/plain"]!, SIGNED_IN);
});

const SILENT = [{ interactive: false }, { onDeviceCode() {} }, { onAuthorizationUrl() {} }];

test("a notebook says nothing where nobody is to be asked, or the program shows all itself", async (world) => {
  await createSession(world.options);
  const { onDeviceCode: _, ...options } = world.options;
  using kernel = new FakeKernel();
  for (const more of SILENT) await createSession({ ...options, ...more });
  assertEquals(kernel.displays, []);
  // A fault of the kernel costs the display alone.
  for (const isLate of [false, true]) {
    kernel.onDisplay = () => {
      if (isLate) return Promise.reject(new Error("no display"));
      throw new Error("no display");
    };
    const session = await createSession(options);
    assertEquals((await session.status()).signedIn, true);
  }
});

const NOW = 1_800_000_000_000;
const PAGE: SignInPage = {
  issuer: "https://login.example.com",
  url: "https://login.example.com/activate?user_code=WDJB-MJHT&a=b",
  shortUrl: "https://login.example.com/activate",
  code: { text: "WDJB-MJHT", isFilledIn: true },
  expiresAt: new Date(NOW + 900_000),
};
const SIGNED_IN_HERE: Outcome = {
  kind: "signed_in",
  email: "ada@example.com",
  expiresAt: new Date(NOW + 3_600_000),
  backend: { name: "/home/ada/credentials.json" },
  refreshable: true,
};
/** Markup, an escape sequence, and a text that turns around. */
const HOSTILE = `<img src=x onerror="alert('1')">&\x1b[31m\u202egnp.\u2066`;

/** A prompt in a kernel that takes down what is displayed. */
async function open(page: SignInPage = PAGE) {
  using kernel = new FakeKernel();
  const prompt = await openPrompt(page, () => NOW);
  const last = () => {
    const { "text/html": html, "text/plain": text } = kernel.displays.at(-1)!.data;
    return { html: html!, text: text! };
  };
  return { kernel, prompt, last };
}

Deno.test("prompt in a notebook: one display, which only a note and the end change", async () => {
  const { kernel, prompt, last } = await open();
  await prompt.note("Hear.");
  for (const text of Object.values(last())) assertStringIncludes(text, "Hear.");
  await prompt.end(SIGNED_IN_HERE);
  await prompt.note("too late");
  const types = ["display_data", "update_display_data", "update_display_data"];
  assertEquals(kernel.displays.map(({ type }) => type), types);
  assertEquals(new Set(kernel.displays.map(({ id }) => id)).size, 1);
  kernel.onDisplay = () => Promise.reject(new Error("gone")); // which costs the display alone
  await prompt.end({ kind: "denied" });
  assertEquals(kernel.displays.length, 3);
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

  const long = await open({ ...PAGE, url: `${PAGE.url}&x=${"x".repeat(3000)}` }); // for a picture
  assertStringIncludes(long.last().html, "<samp>WDJB-MJHT</samp>");

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
  const dark = /fill="black" d="([^"]+)"/.exec(html)![1]!;
  for (const [, x, y, length] of dark.matchAll(/M(\d+),(\d+)h(\d+)v1h-\3z/g)) {
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
    await prompt.end(kind === "signed_in" ? SIGNED_IN_HERE : { kind });
    for (const text of Object.values(last())) {
      assertEquals(/<(a|svg|samp|script|style)\b|WDJB|activate/.test(text), false, kind);
    }
    assertStringIncludes(last().html, kind === "signed_in" ? ">Signed in as ada@" : "✕");
    assertMatch(last().text, kind === "signed_in" ? /^Signed in as ada@/ : /\.$/);
  }
});

Deno.test("prompt in a notebook: what comes from outside is text", async () => {
  const code = { text: HOSTILE, isFilledIn: false };
  const shortUrl = HOSTILE + "x".repeat(600);
  const page = { ...PAGE, issuer: HOSTILE, url: HOSTILE, shortUrl, code };
  const { kernel, prompt, last } = await open(page);
  await prompt.note(HOSTILE);
  await prompt.end({ ...SIGNED_IN_HERE, email: HOSTILE, backend: { name: HOSTILE } });
  for (const { data } of kernel.displays) {
    const html = data["text/html"]!.replace(/<style>[^]*<\/style>|<script>[^]*<\/script>/g, "");
    assertEquals(/<(?!\/?(div|p|ol|li|a|span|samp|strong|svg|rect|path)\b)/.test(html), false);
    assertEquals(/onerror=["']|&(?!#\d+;)|x{501}/.test(html), false);
    for (const text of Object.values(data)) {
      assertEquals(/[\p{Cf}\p{Cc}]/u.test(text.replaceAll("\n", "")), false);
    }
  }
  assertStringIncludes(last().html, "&#60;img src=x");
});

Deno.test("terminal: a closed standard error costs a line, and nothing else", async () => {
  const refuse = () => Promise.reject(new Deno.errors.BrokenPipe("closed"));
  using _ = replace(Deno.stderr, "write", refuse);
  await showLine("Waiting.");
});

test("prompt: a code that standard error does not take ends the sign-in", async ({ options }) => {
  const { onDeviceCode: _, ...own } = options;
  const refuse = () => Promise.reject(new Deno.errors.BrokenPipe("closed"));
  using _write = replace(Deno.stderr, "write", refuse);
  await rejectsWith("prompt_failed", () => createSession(own));
});
