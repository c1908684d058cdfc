import * as vm from "@validmind/auth";
import { openBrowser, watchInterrupt } from "../../../client/sign_in/dialog.ts";
import { setVariables, withEnv } from "../../support/own_env.ts";
import { OwnStreams } from "../../support/own_streams.ts";
import { type RealWorld, scriptedProviderWorld, test } from "../../support/provider_world.ts";
import { tempDir } from "../../support/temp_home.ts";
import { browserOptions } from "../../support/browser_flow.ts";
import { fakeBrowser } from "../../support/fake_browser.ts";
import { FakeKernel } from "../../support/fake_kernel.ts";
import { testWith } from "../../support/test_with.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { type AuthorizationPrompt, createSession, startSignIn } from "@validmind/auth";

const PAGE = "https://login.example.com/?a=1&user_code=$(touch x);`id`";
const ignore = Deno.build.os !== "linux"; // where the stand-in is a shell script
const openTest = testWith({ ignore }, "openBrowser: ");

async function open(page: string, PATH: string, env: Record<string, string> = {}) {
  const alive = setInterval(() => {}, 1000); // the program does not keep this process alive
  try {
    return await withEnv({ PATH, ...env }, () => openBrowser(page));
  } finally {
    clearInterval(alive);
  }
}

openTest("the page is one argument, and no secret goes along in the environment", async () => {
  await using browser = await fakeBrowser();
  for (const page of ["http://login.example.com/", "file:///etc/passwd", "-h", "javascript:1"]) {
    const reason = await open(page, browser.path);
    assertEquals([reason, await browser.opened()], ["the page is not an https: page", undefined]);
  }
  for (const page of [PAGE, "http://127.0.0.1:8080/device"]) {
    const env = { VM_API_SECRET: "s3cret", DISPLAY: ":0", HOME: "/home/x" };
    assertEquals(await open(page, browser.path, env), undefined);
    assertEquals(await browser.opened(), `1\n${page}\n`);
  }
  const text = await browser.environment();
  for (const part of ["DISPLAY=:0", "HOME=/home/x", browser.path]) {
    assertStringIncludes(text, part);
  }
  assertEquals(text.includes("s3cret"), false);
  await using failing = await fakeBrowser(3);
  assertEquals(await open(PAGE, failing.path), "xdg-open found no browser");
});

Deno.test("openBrowser: without the permission nothing is run, and nobody is asked", {
  permissions: { env: true },
  ignore,
}, async () => {
  const reason = await openBrowser(PAGE);
  assertStringIncludes(reason!, "is not installed, or needs --allow-run=xdg-open");
});

openTest("a sign-in opens the page with the code filled in, or goes on by the link", async () => {
  await using world = await scriptedProviderWorld();
  const { onDeviceCode: _, ...options } = world.options;
  await using browser = await fakeBrowser();
  await using empty = await tempDir();
  for (const PATH of [browser.path, empty.path]) {
    using streams = new OwnStreams();
    world.backend.delete(world.key);
    Deno.env.set("PATH", PATH);
    world.clock.onDelay = async () => void (PATH === browser.path && await browser.page());
    await createSession({ ...options, openBrowser: true });
    const text = streams.written.stderr;
    assertStringIncludes(text, "\nSigned in as analyst@example.com.");
    const note = /The browser was not opened: (.*)/.exec(text)?.[1];
    assertEquals(note, PATH === empty.path ? "xdg-open cannot be run." : undefined);
  }
  const page = `${world.provider.issuer}/activate?user_code=WDJB-MJHT`;
  assertEquals(await browser.opened(), `1\n${page}\n`);
});

Deno.test("interrupts: outside a notebook nothing watches, and Ctrl-C ends the process", () => {
  assertEquals(watchInterrupt(new AbortController()), undefined);
});

/** Starts a sign-in whose link nobody is shown. */
async function start(world: RealWorld) {
  const shown = Promise.withResolvers<AuthorizationPrompt>();
  using kernel = new FakeKernel();
  const options = { ...browserOptions(world), onAuthorizationUrl: shown.resolve };
  const signIn = await startSignIn(options);
  assertEquals(kernel.displays, []);
  return { signIn, prompt: await shown.promise };
}

for (const isHandedIn of [true, false]) {
  test.real(`two steps: the session, by an address that is handed in: ${isHandedIn}`, async (world) => {
    const { signIn, prompt } = await start(world);
    await using _ = signIn;
    assertEquals([signIn.url, signIn.expiresAt], [prompt.url, prompt.expiresAt]);
    await rejectsWith("address_refused", () => signIn.finish("http://127.0.0.1/callback"));
    const stopAt = isHandedIn ? { stopAt: prompt.redirectUri } : {};
    const { url } = await world.provider.follow(prompt.url, stopAt);
    const { search } = new URL(url); // which is enough
    await using session = await signIn.finish(...isHandedIn ? [search] : []);
    assertEquals((await session.status()).signedIn, true);
    assertEquals(await signIn.finish(url), session); // again
  });
}

test.real("two steps: a sign-in that is given up listens no more, and its end is an error", async (world) => {
  const { signIn, prompt } = await start(world);
  const { url } = await world.provider.follow(prompt.url, { stopAt: prompt.redirectUri });
  await signIn[Symbol.asyncDispose]();
  await assertRejects(() => signIn.finish(), DOMException, "given up");
  await assertRejects(() => signIn.finish(url), DOMException, "given up");
  assertEquals(await fetch(prompt.redirectUri).catch((error) => error.name), "TypeError");
});

test.real("two steps: an error before the link is the first step's", async (world) => {
  const options = { ...browserOptions(world), interactive: false };
  await rejectsWith("login_required", () => startSignIn(options));
  await rejectsWith("invalid_options", () => startSignIn({ ...options, listen: "0.0.0.0:80" }));
  for (const flow of ["device", "client_credentials"] as const) {
    await rejectsWith("invalid_options", () => startSignIn({ ...options, flow }), flow);
  }
});

test.real("two steps: the cells that a waiting cell names work word for word", async (world) => {
  await using home = await tempDir();
  const { issuer, clientId } = world.provider;
  setVariables({ HOME: home.path, VM_OIDC_ISSUER: issuer, VM_OIDC_CLIENT_ID: clientId });
  using kernel = new FakeKernel();
  const interrupt = new AbortController();
  const { signal } = interrupt;
  const cell = createSession({ ...browserOptions(world), signal }).catch(() => undefined);
  while (kernel.displays.length === 0) await new Promise((resolve) => setTimeout(resolve));
  const shown = kernel.displays[0]!.data["text/plain"]!;
  const [first, second] = [...shown.matchAll(/(const [^;]+);/g)].map(([, code]) => code!);
  interrupt.abort();
  await cell;

  const run = (code: string, name: "signIn" | "session", scope: object) => {
    const body = `return (async () => { ${code.replace("const ", "")}; return ${name}; })()`;
    const all = { vm, signIn: 0, session: 0, ...scope };
    return new Function(...Object.keys(all), body)(...Object.values(all));
  };
  await using signIn = await run(first!, "signIn", {});
  const stopAt = new URL(signIn.url).searchParams.get("redirect_uri")!;
  const { url } = await world.provider.follow(signIn.url, { stopAt });
  const cell2 = second!.replace("<address of the last page>", url);
  await using session = await run(cell2, "session", { signIn });
  const [page, end] = kernel.displays.slice(-2);
  assertEquals([page!.type, end!.type], ["display_data", "update_display_data"]);
  assertStringIncludes(page!.data["text/plain"]!, signIn.url);
  assertMatch(end!.data["text/plain"]!, /^Signed in as /);
  assertEquals((await session.status()).signedIn, true);
});
