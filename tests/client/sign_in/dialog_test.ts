import * as vm from "@validmind/auth";
import { twoCells } from "../../../client/sign_in/two_steps.ts";
import { watchInterrupt } from "../../../client/sign_in/dialog.ts";
import { openBrowser } from "../../../client/sign_in/open_browser.ts";
import { setVariables, withEnv } from "../../support/own_env.ts";
import { OwnStreams } from "../../support/own_streams.ts";
import { type RealWorld, scriptedProviderWorld, test } from "../../support/provider_world.ts";
import { tempDir } from "../../support/temp_home.ts";
import { browserOptions } from "../../support/browser_flow.ts";
import { fakeBrowser } from "../../support/fake_browser.ts";
import { FakeKernel } from "../../support/fake_kernel.ts";
import { testWith } from "../../support/test_with.ts";
import { cellsIn, runCell } from "../../support/run_cell.ts";
import { approveAt, demanding, STEP_UP } from "../../support/demanding_api.ts";
import { replace } from "../../support/replace.ts";
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
  for (const part of ["DISPLAY=:0", "HOME=/home/x", browser.path]) assertStringIncludes(text, part);
  assertEquals(text.includes("s3cret"), false);
  await using failing = await fakeBrowser(3);
  assertEquals(await open(PAGE, failing.path), "xdg-open found no browser");
});

openTest("nothing is started where PATH has a relative folder", async () => {
  await using browser = await fakeBrowser();
  for (const path of [`bin:${browser.path}`, `${browser.path}:`]) {
    assertStringIncludes((await open(PAGE, path))!, "PATH has the relative folder");
  }
  assertEquals(await browser.opened(), undefined);
});

openTest("a variable that is not UTF-8 ends nothing", async () => {
  await using browser = await fakeBrowser();
  const get = Deno.env.get.bind(Deno.env);
  using _ = replace(Deno.env, "get", (name) => {
    if (name === "XDG_CONFIG_HOME") throw new Deno.errors.InvalidData("not valid unicode");
    return get(name);
  });
  assertEquals(await open(PAGE, browser.path), "xdg-open cannot be run");
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

Deno.test(
  "openBrowser: a sign-in in two steps opens the browser, too, where its call asks for it",
  {
    ignore,
    sanitizeOps: false, // the end of the sign-in may cut an answer of the provider short
    sanitizeResources: false, // the browser has the page, and may not have ended
  },
  async () => {
    await using world = await scriptedProviderWorld();
    const { provider } = world;
    provider.discovery = { authorization_endpoint: `${provider.issuer}/authorize` };
    await using browser = await fakeBrowser();
    using _streams = new OwnStreams();
    Deno.env.set("PATH", browser.path);
    await using _signIn = await startSignIn({ ...browserOptions(world), openBrowser: true });
    assertStringIncludes(await browser.page(), "http://127.0.0.1:");
  },
);

Deno.test("interrupts: outside a notebook nothing watches, and Ctrl-C ends the process", () => {
  assertEquals(watchInterrupt(new AbortController(), () => ""), undefined);
});

test("interrupts: in a notebook one ends the sign-in, and not the kernel", async (world) => {
  const { onDeviceCode: _, ...options } = world.options;
  const listeners = new Set<() => void>();
  using _kernel = new FakeKernel();
  using _add = replace(Deno, "addSignalListener", (signal, listener) => {
    assertEquals(signal, "SIGINT");
    listeners.add(listener);
  });
  using _remove = replace(Deno, "removeSignalListener", (_, listener) => {
    listeners.delete(listener);
  });
  for (const isInterrupted of [true, false]) {
    world.clock.onDelay = () => {
      assertEquals(listeners.size, 1, "an interrupt would end the kernel");
      if (isInterrupted) { for (const listener of listeners) listener(); }
    };
    const signIn = () => createSession(options);
    if (isInterrupted) {
      await assertRejects(signIn, DOMException, "was interrupted. Run the cell again.");
    } else await signIn();
    assertEquals(listeners.size, 0, "a later interrupt is the cell's own");
  }
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

/** The link of a display, as its text has it. */
function linkIn({ data }: FakeKernel["displays"][number]): string {
  return /http\S+\/auth\?\S+/.exec(data["text/plain"]!)![0];
}

const OPTIONS = `{
  model: "cl-1", document: "validation", monitoring: true, flow: "browser",
  issuer, clientId, apiHost, profile: "two.steps", scope: "openid email",
  authorizationParameters: { prompt: "consent" }, loginHint: "ada\\"s", credentialsBackend: store, signal,
}`;

const CALLS = { "variables": '{ flow: "browser", signal }', "options": OPTIONS };

for (const [what, options] of Object.entries(CALLS)) {
  test.real(`two steps: the cells that a waiting one shows lose nothing of its ${what}`, async (world) => {
    await using home = await tempDir();
    const { issuer, clientId } = world.provider;
    const { apiHost } = world.api;
    setVariables({
      HOME: home.path,
      VM_OIDC_ISSUER: issuer,
      VM_OIDC_CLIENT_ID: clientId,
      VM_API_HOST: apiHost,
      VM_API_MODEL: "cl-2",
    });
    const cell = `const session = await vm.init(${options});`;
    const store = new vm.MemoryCredentialsBackend();
    const run = (signal?: AbortSignal) =>
      runCell<vm.Session>(cell, { vm, issuer, clientId, apiHost, store, signal });
    const start = async (signal?: AbortSignal) => {
      const before = kernel.displays.length;
      const running = run(signal);
      running.catch(() => undefined);
      while (kernel.displays.length === before) await new Promise((resolve) => setTimeout(resolve));
      return { running, shown: kernel.displays.at(-1)! };
    };
    using kernel = new FakeKernel();
    const interrupt = new AbortController();
    const { running, shown } = await start(interrupt.signal);
    interrupt.abort(new Error("interrupted"));
    await assertRejects(() => running, Error, "interrupted");

    const text = shown.data["text/plain"]!;
    const html = shown.data["text/html"]!.replace(
      /&#(\d+);/g,
      (_, code) => String.fromCharCode(code),
    );
    const cells = cellsIn(text);
    assertEquals(cells.map((line) => html.includes(line)), [true, true]);
    const [first, second] = cells.map((code) => code.replace("<as in this cell>", "store"));
    await using signIn = await runCell<vm.StartedSignIn>(first!, { store });
    const stopAt = new URL(signIn.url!).searchParams.get("redirect_uri")!;
    const { url } = await world.provider.follow(signIn.url!, { stopAt });
    await runCell(second!.replace("<address of the last page>", url), { signIn });
    const [page, end] = kernel.displays.slice(-2);
    assertEquals([page!.type, end!.type], ["display_data", "update_display_data"]);
    assertEquals(linkIn(page!), signIn.url);
    assertMatch(end!.data["text/plain"]!, /^Signed in as /);

    await using session = await run(); // this cell again
    assertEquals(vm.getSession(), session);
    const found = [await session.headers(), { ...await session.status(), expiresAt: 0 }];
    // The same call where the browser comes back by itself.
    await session.clear();
    const direct = await start();
    assertEquals((await world.provider.follow(linkIn(direct.shown))).status, 200);
    await using other = await direct.running;
    const wanted = [await other.headers(), { ...await other.status(), expiresAt: 0 }];
    for (const [headers] of [found, wanted] as [Headers][]) {
      assertEquals(await world.provider.isActive(headers.get("authorization")!.slice(7)), true);
      headers.delete("authorization");
    }
    assertEquals(found, wanted);
  });
}

Deno.test("two steps: the shown cells have no secret, and what has no text stays with the person", () => {
  const { cells: [first] } = twoCells({
    clientSecret: "x9-Qwz7-Pk4-Lm2",
    clientSecretFile: "/run/secret",
    fetch,
    onEvent: undefined,
    signal: AbortSignal.timeout(1),
    model: "cl-1",
    authorizationParameters: { id_token_hint: "x9-Qwz7-Pk4-Lm2", prompt: "login" },
    timeoutMs: 5000,
  });
  const options = "{ clientSecret: <as in this cell>, clientSecretFile: " +
    '"/run/secret", fetch: <as in this cell>, authorizationParameters: ' +
    '{"id_token_hint":"<as in this cell>","prompt":"login"}, timeoutMs: 5000 }';
  assertStringIncludes(first!, `.startSignIn(${options});`);
});

test("two steps: an interrupted cell still shows the two cells", async ({ provider, backend }) => {
  provider.discovery = { authorization_endpoint: `${provider.issuer}/authorize` };
  const { issuer, clientId } = provider;
  let interrupt = () => {};
  using kernel = new FakeKernel();
  using _add = replace(Deno, "addSignalListener", (_, listener) => void (interrupt = listener));
  using _remove = replace(Deno, "removeSignalListener", () => {});
  const options = { issuer, clientId, credentialsBackend: backend, flow: "browser" } as const;
  const waiting = createSession(options);
  waiting.catch(() => undefined);
  while (kernel.displays.length === 0) await new Promise((resolve) => setTimeout(resolve));
  const shown = cellsIn(kernel.displays.at(-1)!.data["text/plain"]!);
  interrupt();
  const { message } = await assertRejects(() => waiting, DOMException, "Run the cell again.");
  assertEquals(message.split("\n").slice(1), shown);
});

test("two steps: the cells for an API's demand keep the sign-in until another one meets it", async (world) => {
  const { provider, api, backend: store } = world;
  provider.discovery = { authorization_endpoint: `${provider.issuer}/authorize` };
  setVariables({ VM_OIDC_ISSUER: provider.issuer, VM_OIDC_CLIENT_ID: provider.clientId });
  await world.signIn();
  const before = world.stored();
  const options = `{ flow: "browser", apiHost: "${api.apiHost}", credentialsBackend: store }`;
  using kernel = new FakeKernel();
  const cell = `const session = await vm.createSession(${options});`;
  const session = await runCell<vm.Session>(cell, { vm, store });
  api.script.push(demanding(STEP_UP));
  const error = await assertRejects(() => session.get("thing"), vm.ApiError);

  const stop = new AbortController();
  const shown = kernel.displays.length;
  const waiting = session.signIn({ for: error, signal: stop.signal });
  waiting.catch(() => undefined);
  while (kernel.displays.length === shown) await new Promise((resolve) => setTimeout(resolve));
  const text = kernel.displays.at(-1)!.data["text/plain"]!;
  stop.abort(new Error("interrupted"));
  await assertRejects(() => waiting, Error, "interrupted");

  const cells = cellsIn(text);
  assertEquals(cells.length, 2, text);
  const [first, second] = cells.map((code) => code.replace("<as in this cell>", "store"));
  const signIn = async (claims: Record<string, unknown>) => {
    await using signIn = await runCell<vm.StartedSignIn>(first!, { store });
    assertEquals(new URL(signIn.url!).searchParams.get("acr_values"), "gold silver");
    const address = await approveAt(world, signIn.url!, { claims });
    await runCell(second!.replace("<address of the last page>", address), { signIn });
  };
  await rejectsWith("demand_unmet", () => signIn({ acr: "bronze" }));
  const other = { acr: "gold", sub: "bob@example.com" };
  await rejectsWith("id_token_invalid", () => signIn(other), "another person");
  assertEquals(world.stored(), before);
  await signIn({ acr: "gold" });

  api.script.push(demanding(STEP_UP)); // the token that the session has
  await session.get("thing");
  const { access_token } = world.stored();
  assertEquals(api.requests.at(-1)!.headers.authorization, `Bearer ${access_token}`);
});

test("two steps: an error without a demand of an API starts no sign-in", async ({ options }) => {
  const start = (wanted: object) => startSignIn({ ...options, flow: "auto", for: wanted });
  await rejectsWith("invalid_options", () => start(new Error("other")), "no demand");
});
