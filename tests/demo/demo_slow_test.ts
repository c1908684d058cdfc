import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Approver } from "../support/approver.ts";
import { RequestLog } from "../support/request_log.ts";
import { findDenoDir, runDeno, spawnDeno } from "../support/deno_process.ts";
import { tempDir } from "../support/temp_home.ts";
import { demoSteps } from "./demo_steps.ts";

const DEMO = `${import.meta.dirname}/demo.ts`;
const FLAGS = ["-A", "--unstable-kv"];
const permissions = { read: true, write: true, env: true, run: true } as const;

/** Opaque tokens have 43 characters, JWTs begin with `eyJ`; nothing else in the story looks so. */
const TOKEN = /[\w-]{40,}|\beyJ/;

Deno.test("the demo tells its story and prints no token", { permissions }, async () => {
  await using temp = await tempDir();
  const home = `${temp.path}/home`;
  await Deno.mkdir(home);
  const start = performance.now();
  const { code, stdout, stderr } = await runDeno({
    file: DEMO,
    flags: FLAGS,
    env: { HOME: home, TMPDIR: temp.path, VM_OIDC_ISSUER: "https://not.asked.example" },
  });

  assertEquals(code, 0, stderr);
  assert(performance.now() - start < 30_000);
  const steps = demoSteps.map(({ title }, index) => `Step ${index + 1} of 6: ${title}\n`);
  assertEquals(stdout.match(/^Step .*\n/gm), steps);
  assertMatch(
    stderr,
    /Open this page {6}http:\/\/127\.0\.0\.1:\d+\/device\?user_code=[A-Z]{4}-[A-Z]{4}\n/,
  );
  assertEquals(stderr.match(/^Signed in as analyst@example\.com/gm)?.length, 2);
  assertMatch(
    section(stdout, 1),
    /requests.* 5 \(discovery, device code, 2 × poll, signing keys\)/i,
  );
  assertMatch(section(stdout, 2), /requests to the provider +0\n/i);
  assertMatch(
    section(stdout, 3),
    /person was asked +no\n.*token +yes\n.*rotated +yes\n.*works +no/,
  );
  assertMatch(section(stdout, 4), /files in that home +none\n/i);
  assertMatch(section(stdout, 5), /It answered +200 /);
  assertMatch(section(stdout, 6), /Revocation +revoked\n.*both tokens are dead\n/);
  assertMatch(stdout, /\nDone: 6 steps in [\d.]+ m?s\. The temporary home is gone\.\n$/);
  assert(!TOKEN.test(stdout + stderr), "something that looks like a token was printed");
  assert(!(stdout + stderr).includes("\x1b"), "there are escape codes");
  assertEquals(entries(temp.path), ["home"]);
  assertEquals(entries(home), []);
});

Deno.test("the demo refuses what it does not know", { permissions }, async () => {
  const { code, stdout, stderr } = await runDeno({ file: DEMO, flags: FLAGS, args: ["--fast"] });
  assertEquals([code, stdout, stderr], [2, "", "Usage: deno task demo [--manual]\n"]);
});

Deno.test(
  "a demo that fails names the step and leaves nothing behind",
  { permissions },
  async () => {
    await using temp = await tempDir();
    const { code, stderr } = await runDeno({
      file: DEMO,
      flags: [...FLAGS, "--deny-run"], // the second program of step 2 cannot be started
      env: { TMPDIR: temp.path, DENO_DIR: findDenoDir() },
    });

    assertEquals(code, 1);
    assertStringIncludes(stderr, "The demo failed: step 2 (");
    assertEquals(entries(temp.path), []);
  },
);

Deno.test("the manual demo waits for the person's browser", {
  permissions: { ...permissions, net: ["127.0.0.1"] },
}, async () => {
  const child = manualDemo();
  const { page, userCode, rest } = await promptOf(child.stderr);
  await new Approver(page, new RequestLog()).approve(userCode, { login: "grace@example.com" });

  const { code } = await child.status;
  assertEquals(code, 0);
  assertStringIncludes(await new Response(child.stdout).text(), "<grace@example.com>");
  await rest;
});

Deno.test("an interrupted demo ends at once and leaves nothing behind", {
  permissions,
  ignore: Deno.build.os === "windows",
}, async () => {
  await using temp = await tempDir();
  const child = manualDemo({ TMPDIR: temp.path });
  const { rest } = await promptOf(child.stderr);
  child.kill("SIGINT");

  const { code } = await child.status;
  assertEquals(code, 130);
  assertStringIncludes(await rest, "The demo failed: step 1 (");
  assertEquals(entries(temp.path), []);
  await child.stdout.cancel();
});

function manualDemo(env: Record<string, string> = {}): Deno.ChildProcess {
  return spawnDeno({
    file: DEMO,
    flags: FLAGS,
    args: ["--manual"],
    env: { NO_COLOR: "1", ...env },
  });
}

/** Reads the link and the code off the prompt, as a person would. */
async function promptOf(stream: ReadableStream<Uint8Array>) {
  let text = "";
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  const found = () => /Open this page {6}(\S+)\?user_code=(\S+)\n[^]*Waiting/.exec(text);
  const next = async () => {
    const { value = "", done } = await reader.read();
    text += value;
    return done;
  };
  // A prompt in other words than those above would be waited for until the code ends.
  const patience = setTimeout(() => reader.cancel(), 20_000);
  while (found() === null) {
    if (await next()) throw new Error(`the demo showed no code:\n${text}`);
  }
  clearTimeout(patience);
  const [, page = "", userCode = ""] = found() ?? [];
  const rest = (async () => {
    while (!await next());
    return text;
  })();
  return { page, userCode, rest };
}

function section(story: string, step: number): string {
  return story.split(/^Step \d of 6: /m)[step] ?? "";
}

function entries(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name);
}
