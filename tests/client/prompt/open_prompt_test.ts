// deno-lint-ignore-file no-control-regex -- what a terminal is sent has escape codes
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { decodeModules } from "../../support/decode_qr.ts";
import { type CaptureOptions, captureTerminal, hasTerminal } from "../../support/terminal.ts";
import { startOidcProvider } from "../../support/oidc_provider.ts";
import { runDeno } from "../../support/deno_process.ts";
import { startScriptedProvider } from "../../support/scripted_provider.ts";

const OPEN = new URL("../../../client/prompt/open_prompt.ts", import.meta.url).href;
const MOD = new URL("../../../mod.ts", import.meta.url).href;
const PAGE = {
  issuer: "https://login.example.com",
  url: "https://login.example.com/activate",
  shortUrl: "https://login.example.com/activate",
  code: { text: "WDJB-MJHT", isFilledIn: false },
};
const COMPLETE = `${PAGE.shortUrl}?user_code=${PAGE.code.text}`;

/** Shows a page, adds a note and ends. */
const SHOW = `
  import { openPrompt } from ${JSON.stringify(OPEN)};
  const { seconds, outcome, note, ...page } = JSON.parse(Deno.args[0]);
  const time = 1_800_000_000_000;
  const expiresAt = new Date(time + seconds * 1000);
  const prompt = await openPrompt({ now: () => time, page: { ...page, expiresAt } });
  if (note) await prompt.note(note);
  await prompt.end(outcome);
  await prompt.note("too late");
`;
const SIGNED_IN = {
  kind: "signed_in",
  who: "ada\x1b[31m@example.com",
  expiresAt: 1_800_003_600_000,
  place: "/home/ada/.validmind/credentials.json",
  isRefreshable: true,
};

const args = (more: Record<string, unknown>) => [
  JSON.stringify({ ...PAGE, seconds: 600, outcome: SIGNED_IN, ...more }),
];

const terminal = async (more: Record<string, unknown>, options: Partial<CaptureOptions> = {}) =>
  await captureTerminal({ code: SHOW, args: args(more), env: { TZ: "UTC" }, ...options });

Deno.test("prompt in a log: plain lines on standard error, without any permission", async () => {
  const { code, stdout, stderr } = await runDeno({
    code: SHOW,
    args: args({ note: "Note: a\x1b[2Jb." }),
    env: { TZ: "UTC" },
  });
  assertEquals([code, stdout], [0, ""]);
  assertEquals(
    stderr,
    "Sign in at https://login.example.com\n" +
      "  1. Open this page      https://login.example.com/activate\n" +
      "  2. Confirm this code   WDJB-MJHT\n" +
      "Waiting for your approval (the code ends at 2027-01-15 08:10 +00:00) …\n" +
      "Note: a [2Jb.\n" +
      "Signed in as ada [31m@example.com. The token is valid until 2027-01-15 09:00 +00:00 and stored " +
      "in /home/ada/.validmind/credentials.json.\n",
  );
});

Deno.test("prompt in a log: the complete page where there is one, and still the code", async () => {
  const { stderr } = await runDeno({
    code: SHOW,
    args: args({ url: COMPLETE, seconds: 3, outcome: { kind: "denied" } }),
    env: { TZ: "UTC" },
  });
  assertStringIncludes(stderr, `Open this page      ${COMPLETE}\n`);
  assertStringIncludes(stderr, "Confirm this code   WDJB-MJHT");
  assertMatch(stderr, /ends at \S+ \S+ \+00:00\) …\nNot signed in: the sign-in was refused\.\n$/);
});

Deno.test("prompt in a kernel without display support: the plain lines, where the cell shows them", async () => {
  const code = `
    const jupyter = { broadcast: () => Promise.reject(new Error("no display")) };
    const fake = Object.create(Deno, { jupyter: { value: jupyter } });
    Object.defineProperty(globalThis, "Deno", { value: fake });
    console.error = (text) => console.log(JSON.stringify(text));
    ${SHOW}
  `.replace(/import (.*?) from (.*?);/, "const $1 = await import($2);");
  const { stdout, stderr } = await runDeno({ code, args: args({}), env: { TZ: "UTC" } });
  const shown = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals([shown.length, stderr], [2, ""]);
  assertStringIncludes(shown[0], "  2. Confirm this code   WDJB-MJHT\n");
  assertMatch(shown[1], /^Signed in as .*credentials\.json\.$/);
});

Deno.test({
  name: "prompt in a terminal: a code to scan above the lines of a log",
  ignore: !hasTerminal,
  fn: async () => {
    const { text } = await terminal({ url: COMPLETE, note: "Look." });
    const plain = text.replaceAll("\r\n", "\n").replace(/\x1b\[[\d;]*m/g, "");
    assertEquals(decodeModules(modulesOf(plain)), COMPLETE);
    assertMatch(plain, /\n\nSign in at [^]+ …\nLook\.\nSigned in as ada \[31m@[^]+json\.\n$/);
  },
});

Deno.test({
  name: "prompt in a terminal: NO_COLOR leaves no escape code",
  ignore: !hasTerminal,
  fn: async () => {
    const { text } = await terminal({}, { env: { NO_COLOR: "1", TZ: "UTC" } });
    assertEquals(text.includes("\x1b"), false);
    assertEquals(decodeModules(modulesOf(text.replaceAll("\r\n", "\n"))), PAGE.url);
  },
});

Deno.test({
  name: "prompt in a terminal: no code to scan where it does not fit, and where TERM is dumb",
  ignore: !hasTerminal,
  fn: async () => {
    for (const size of [{ columns: 30 }, { columns: 100, rows: 20 }, { columns: 0, rows: 0 }]) {
      const { text } = await terminal({}, size);
      assertMatch(text, /^Sign in at /, JSON.stringify(size));
    }
    const env = { TERM: "dumb", TZ: "UTC" };
    const { text } = await terminal({}, { env, flags: ["--allow-env=TERM"] });
    assertMatch(text, /^Sign in at /);
  },
});

/** Signs in in a child with the built-in prompt, whose output is what a person sees. */
async function signIn(issuer: string, clientId: string) {
  const code = `
    import * as vm from ${JSON.stringify(MOD)};
    const [issuer, clientId] = Deno.args;
    const session = await vm.createSession({ issuer, clientId,
      credentialsBackend: new vm.MemoryCredentialsBackend(), delay: () => Promise.resolve() });
    console.log("done");
  `;
  const { host } = new URL(issuer);
  return await runDeno({ code, args: [issuer, clientId], flags: [`--allow-net=${host}`] });
}

Deno.test("prompt in a log: the person reads what to do and then who is signed in", async () => {
  await using provider = await startOidcProvider({ interval: 0.01 });
  provider.autoApprove = true;
  const { stdout, stderr } = await signIn(provider.issuer, provider.clientId);
  assertEquals(stdout, "done\n");
  assertStringIncludes(
    stderr,
    `Sign in at ${provider.issuer}\n  1. Open this page      ${provider.issuer}`,
  );
  assertMatch(
    stderr,
    /\nSigned in as analyst@example\.com\. The token is valid until .* and stored in the memory of this process\.\n$/,
  );
  assertEquals(/\p{C}/u.test(stderr.replaceAll("\n", "")), false);
});

Deno.test("prompt in a log: no refresh token is told, with what to do about it", async () => {
  await using provider = await startScriptedProvider();
  provider.autoApprove = true;
  const claims = { email: undefined, preferred_username: "ada\x1b[31m" };
  const id_token = await provider.idToken(claims);
  provider.script.token.push(() => provider.tokens({ refresh_token: undefined, id_token }));
  const { stderr } = await signIn(provider.issuer, provider.clientId);
  assertStringIncludes(stderr, "Signed in as ada [31m. The token");
  assertStringIncludes(stderr, "offline_access");
});

/** The modules of a QR code in half blocks. */
function modulesOf(text: string): boolean[][] {
  const lines = text.split("\n").filter((line) => /^ {2}[█▀▄ ]{20,}$/.test(line));
  assert(lines.length > 10, "no QR code");
  return lines.map((line) => line.slice(2)).flatMap((line) => [
    [...line].map((character) => !"█▀".includes(character)),
    [...line].map((character) => !"█▄".includes(character)),
  ]);
}
