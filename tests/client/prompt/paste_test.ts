import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { assertNoSecret, rememberSecret } from "../../support/assert_no_secret.ts";
import { startOidcProvider, type TestOidcProvider } from "../../support/oidc_provider.ts";
import { fakeBrowser } from "../../support/fake_browser.ts";
import { testWith, whyWithout } from "../../support/test_with.ts";
import { type Captured, captureTerminal, hasTerminal } from "../../support/terminal.ts";

const MOD = new URL("../../../mod.ts", import.meta.url).href;
const TERMINAL = new URL("../../../client/prompt/terminal.ts", import.meta.url).href;

/** Signs in, tells the terminal's mode then or after an error, and asks one more question. */
const SIGN_IN = `
  console.log("pid: " + Deno.pid);
  import { createSession, MemoryCredentialsBackend } from ${JSON.stringify(MOD)};
  async function tellMode() {
    const { stdout } = await new Deno.Command("stty", { args: ["-a"], stdin: "inherit" }).output();
    const [mode, echo] = new TextDecoder().decode(stdout).match(/-?\\b(icanon|echo)\\b/g).sort();
    console.log("mode:", mode, echo);
  }
  try {
    const [issuer, clientId, openBrowser] = Deno.args;
    const session = await createSession({
      issuer,
      clientId,
      flow: "browser",
      ...(openBrowser === "" ? {} : { openBrowser: openBrowser === "true" }),
      credentialsBackend: new MemoryCredentialsBackend(),
    });
    console.log("state: signed in", (await session.status()).signedIn);
    await tellMode();
    console.log("answer:", prompt("One more question?"));
  } catch (error) {
    console.log("state:", error.name, error.code ?? "", error.message);
    console.log("frames:", error.stack.split("\\n").length - 1);
    await tellMode();
  }
`;

/** Types what a function says, in turn, each once the text before it is there. */
async function typeInto(
  provider: TestOidcProvider,
  steps: [after: string, typed: (link: string, pid: number) => string | Promise<string>][],
  { openBrowser = "false", env = {}, job }: {
    openBrowser?: string;
    env?: Record<string, string>;
    job?: "detached" | undefined;
  } = {},
): Promise<Captured & { link: string }> {
  const left = [...steps];
  let link = "";
  let from = 0;
  const captured = await captureTerminal({
    code: SIGN_IN,
    args: [provider.issuer, provider.clientId, openBrowser],
    flags: ["-A"],
    env: { NO_COLOR: "1", ...env },
    job,
    async onText(text) {
      link ||= /http:\S+\/auth\?\S+(?=\s)/.exec(text)?.[0] ?? "";
      const [step] = left;
      if (step === undefined || link === "" || !text.slice(from).includes(step[0])) {
        return undefined;
      }
      left.shift();
      from = text.length;
      return await step[1](link, Number(/pid: (\d+)/.exec(text)![1]));
    },
  });
  return { ...captured, link };
}

/** The address that the browser of another machine ends on. */
async function addressAfter(provider: TestOidcProvider, link: string): Promise<string> {
  const stopAt = new URL(link).searchParams.get("redirect_uri")!;
  const { url } = await provider.follow(link, { stopAt });
  for (const name of ["code", "state"]) rememberSecret(new URL(url).searchParams.get(name)!);
  return url;
}

const whyNot = whyWithout("terminal", hasTerminal);
const pasteTest = testWith({ whyNot }, "paste: ");
const linuxTest = Deno.build.os === "linux" ? pasteTest : testWith({ ignore: true }, "paste: ");

for (const job of [undefined, "detached"] as const) {
  const test = job === undefined ? pasteTest : linuxTest;
  test(`an address signs in after wrong ones, and none is shown: ${job ?? "in a shell"}`, async () => {
    await using provider = await startOidcProvider();
    const again = "Not taken: it is not from this sign-in";
    const { text, link } = await typeInto(provider, [
      ["whole address here", () => "https://evil.example.com/?codex=wrong-thing\r"],
      [again, () => "http://127.0.0.1/callback?code=wrong-thing&state=other\r"],
      [again, async (link) => `wrong-thing\x7f${await addressAfter(provider, link)}\r`],
      ["One more question?", () => "yes\r"],
    ], { job });
    assertStringIncludes(text, "Signed in as analyst@example.com.");
    assertStringIncludes(text, "state: signed in true");
    assertStringIncludes(text, "mode: echo icanon");
    assertStringIncludes(text, "answer: yes", "a later question lost its answer");
    assertStringIncludes(text, "Does that page not load, for example in a browser on");
    assert(!/█|▀|▄|wrong-thing/.test(text), "a phone cannot bring the answer back");
    assertNoSecret(text.replaceAll(link, ""));
  });
}

pasteTest("a browser on this machine wins; later input is for the next question", async () => {
  await using provider = await startOidcProvider();
  const { text } = await typeInto(provider, [
    ["whole address here", async (link) => {
      assertEquals((await provider.follow(link)).status, 200);
      return "";
    }],
    ["One more question?", () => "yes\r"],
  ]);
  assertStringIncludes(text, "state: signed in true");
  assertStringIncludes(text, "answer: yes");
});

for (const signal of ["Ctrl-C", "SIGTERM"] as const) {
  pasteTest(`${signal} ends the sign-in, and the terminal is as before`, async () => {
    await using provider = await startOidcProvider();
    const { text } = await typeInto(provider, [["whole address here", (_link, pid) => {
      if (signal === "Ctrl-C") return "^C";
      Deno.kill(pid, signal);
      return "";
    }]]);
    assertStringIncludes(text, "Not signed in: the sign-in was interrupted.");
    assertStringIncludes(text, "state: AbortError");
    assertStringIncludes(text, "frames: 0"); // it is nobody's fault
    assertStringIncludes(text, "mode: echo icanon");
  });
}

linuxTest("the browser opens by itself, and not with openBrowser: false or by SSH", async () => {
  await using provider = await startOidcProvider();
  await using browser = await fakeBrowser();
  const page = async () => {
    assertStringIncludes(await browser.page(), "http://127.0.0.1:");
    return "^C";
  };
  const { env: found } = browser;
  await typeInto(provider, [["whole address here", page]], { openBrowser: "", env: found });
  await using unused = await fakeBrowser();
  const { env } = unused;
  const ssh = { ...env, SSH_CONNECTION: "192.0.2.1 1 192.0.2.2 22" };
  for (const options of [{ openBrowser: "false", env }, { openBrowser: "", env: ssh }]) {
    const { text } = await typeInto(provider, [["whole address here", () => "^C"]], options);
    assert(!text.includes("was not opened"));
  }
  assertEquals(await unused.opened(), undefined);
});

pasteTest("a program that ends while it reads leaves the terminal as it was", async () => {
  const code = `
      import { readPastes } from ${JSON.stringify(TERMINAL)};
      Object.assign(Deno.stdin, { setRaw: (isRaw) => console.log("raw:", isRaw) });
      readPastes({ onAddress: () => undefined, say() {}, onInterrupt() {} });
      Deno.exit(0);
    `;
  const { text } = await captureTerminal({ code, flags: ["-A"], env: { NO_COLOR: "1" } });
  assertEquals(text.match(/raw: \w+/g), ["raw: true", "raw: false"]);
});

pasteTest("what is typed after the sign-in is for the program, and a signal ends it", async () => {
  const code = `
      import process from "node:process";
      import { readPastes } from ${JSON.stringify(TERMINAL)};
      const onAddress = () => console.log("taken");
      readPastes({ onAddress, say() {}, onInterrupt() {} })[Symbol.dispose]();
      process.stdin.on("data", () => {
        console.log("read");
        Deno.kill(Deno.pid, "SIGTERM");
        setTimeout(() => (console.log("goes on"), Deno.exit()), 1000);
      });
      process.stdin.resume();
      console.log("ready");
    `;
  let isTyped = false;
  const onText = (seen: string) => {
    if (isTyped || !seen.includes("ready")) return;
    isTyped = true;
    return "typed\n";
  };
  const { text } = await captureTerminal({ code, flags: ["-A"], env: { NO_COLOR: "1" }, onText });
  assertEquals(text.match(/taken|read\b|goes on/g), ["read"], text);
});
