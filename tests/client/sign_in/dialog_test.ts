import { assertEquals, assertStringIncludes } from "@std/assert";
import { createSession, requiredPermissions } from "@validmind/auth";
import { openBrowser, watchInterrupt } from "../../../client/sign_in/dialog.ts";
import { withEnv } from "../../support/own_env.ts";
import { OwnStreams } from "../../support/own_streams.ts";
import { scriptedProviderWorld } from "../../support/provider_world.ts";
import { tempDir } from "../../support/temp_home.ts";

const PAGE = "https://login.example.com/?a=1&user_code=$(touch x);`id`";
const ignore = Deno.build.os !== "linux"; // where the stand-in is a shell script

/** A folder with an `xdg-open` in it that takes down its arguments and ends with `code`. */
async function fakeBrowser(code = 0) {
  const { path, [Symbol.asyncDispose]: dispose } = await tempDir();
  const script = `#!/bin/sh
printf '%s\\n' "$#" "$@" > ${path}/arguments
/usr/bin/env > ${path}/environment
exit ${code}
`;
  await Deno.writeTextFile(`${path}/xdg-open`, script, { mode: 0o755 });
  return {
    path,
    opened: () => Deno.readTextFile(`${path}/arguments`).catch(() => undefined),
    environment: () => Deno.readTextFile(`${path}/environment`),
    [Symbol.asyncDispose]: dispose,
  };
}

async function open(page: string, PATH: string, env: Record<string, string> = {}) {
  const alive = setInterval(() => {}, 1000); // the program does not keep this process alive
  try {
    return await withEnv({ PATH, ...env }, () => openBrowser(page));
  } finally {
    clearInterval(alive);
  }
}

Deno.test({
  name: "openBrowser: the page is one argument, of the web over TLS or of this host",
  ignore,
  fn: async () => {
    await using browser = await fakeBrowser();
    for (const page of ["http://login.example.com/", "file:///etc/passwd", "-h", "javascript:1"]) {
      const reason = await open(page, browser.path);
      assertEquals([reason, await browser.opened()], ["the page is no https: page", undefined]);
    }
    for (const page of [PAGE, "http://127.0.0.1:8080/device"]) {
      assertEquals(await open(page, browser.path), undefined);
      assertEquals(await browser.opened(), `1\n${page}\n`);
    }
  },
});

Deno.test({
  name: "openBrowser: of the environment, the program gets what a desktop needs and no secret",
  ignore,
  fn: async () => {
    await using browser = await fakeBrowser();
    const secrets = { VM_API_SECRET: "s3cret", AWS_SECRET_ACCESS_KEY: "s3cret" };
    await open(PAGE, browser.path, { ...secrets, DISPLAY: ":0", HOME: "/home/x" });
    const text = await browser.environment();
    for (const part of ["DISPLAY=:0", "HOME=/home/x", browser.path]) {
      assertStringIncludes(text, part);
    }
    assertEquals(text.includes("s3cret"), false);
  },
});

Deno.test({
  name: "openBrowser: what does not start, or fails, is said",
  ignore,
  fn: async () => {
    await using failing = await fakeBrowser(3);
    assertEquals(await open(PAGE, failing.path), "xdg-open found no browser");
    await using empty = await tempDir();
    assertEquals(await open(PAGE, empty.path), "xdg-open cannot be run");
  },
});

Deno.test({
  name: "openBrowser: without the permission nothing is run, and nobody is asked",
  permissions: { env: true },
  ignore,
  fn: async () => {
    const reason = await openBrowser(PAGE);
    assertStringIncludes(reason!, "is not installed, or not permitted by --allow-run=xdg-open");
  },
});

Deno.test({
  name: "openBrowser: a sign-in opens the page with the code filled in, or goes on by the link",
  ignore,
  fn: async () => {
    await using world = await scriptedProviderWorld();
    const { onDeviceCode: _, ...options } = world.options;
    await using browser = await fakeBrowser();
    await using empty = await tempDir();
    for (const PATH of [browser.path, empty.path]) {
      using streams = new OwnStreams();
      world.backend.delete(world.key);
      Deno.env.set("PATH", PATH);
      world.clock.onDelay = async () => {
        while (PATH === browser.path && !await browser.opened()) await soon();
      };
      await createSession({ ...options, openBrowser: true });
      const text = streams.written.stderr;
      assertStringIncludes(text, "\nSigned in as analyst@example.com.");
      const isOpened = PATH === browser.path;
      const page = `${world.provider.issuer}/activate?user_code=WDJB-MJHT`;
      if (isOpened) assertEquals(await browser.opened(), `1\n${page}\n`);
      const note = /The browser was not opened: .*/.exec(text)?.[0];
      assertEquals(
        note,
        isOpened ? undefined : "The browser was not opened: xdg-open cannot be run.",
      );
    }
  },
});

Deno.test("interrupts: outside a notebook nothing watches, and Ctrl-C ends the process", () => {
  assertEquals(watchInterrupt(), undefined);
});

const soon = () => new Promise((resolve) => setTimeout(resolve, 5));

Deno.test("openBrowser: its permission is named, as one that is not missed", async () => {
  const oidc = { issuer: "https://login.example.com", clientId: "my-app", model: "cl123" };
  const reason = "to open the browser at sign-in";
  const namedOf = async (openBrowser: boolean) =>
    (await requiredPermissions({ ...oidc, openBrowser })).filter((need) => need.reason === reason);
  const named = await namedOf(true);
  const commands: Record<string, string> = { linux: "xdg-open", darwin: "open" };
  const command = commands[Deno.build.os] ?? "rundll32";
  assertEquals(named[0], { name: "run", command, reason, need: "optional" });
  const variables = named.flatMap((need) => need.name === "env" ? need.variable : []);
  assertEquals([variables.includes("PATH"), named.every(({ need }) => need === "optional")], [
    true,
    true,
  ]);
  assertEquals(await namedOf(false), []);
});
