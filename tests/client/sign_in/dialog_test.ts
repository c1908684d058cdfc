import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type PermissionNeed, requiredPermissions } from "@validmind/auth";
import { startOidcProvider } from "../../support/oidc_provider.ts";
import { runDeno } from "../../support/deno_process.ts";
import { tempDir } from "../../support/temp_home.ts";

const SIGN_IN = new URL("../../../client/sign_in/dialog.ts", import.meta.url).href;
const MOD = new URL("../../../mod.ts", import.meta.url).href;
const PAGE = "https://login.example.com/?a=1&user_code=$(touch x);`id`";
const ignore = Deno.build.os !== "linux"; // where the stand-in is a shell script

/** A folder with an `xdg-open` in it that takes down its arguments and ends with `code`. */
async function fakeBrowser(code = 0) {
  const dir = await tempDir();
  const file = `${dir.path}/xdg-open`;
  const script = `#!/bin/sh
printf '%s\\n' "$#" "$@" > ${dir.path}/arguments
/usr/bin/env > ${dir.path}/environment
exit ${code}
`;
  await Deno.writeTextFile(file, script, { mode: 0o755 });
  return {
    path: dir.path,
    opened: () => Deno.readTextFile(`${dir.path}/arguments`).catch(() => undefined),
    environment: async () => {
      const lines = (await Deno.readTextFile(`${dir.path}/environment`)).trim().split("\n");
      return Object.fromEntries(lines.map((line) => line.split(/=(.*)/s)));
    },
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

async function open(
  page: string,
  PATH: string,
  flags = ["--allow-run=xdg-open"],
  env: Record<string, string> = {},
) {
  const code = `import { openBrowser } from ${JSON.stringify(SIGN_IN)};
    console.log(await openBrowser(Deno.args[0]));`;
  const { stdout, stderr } = await runDeno({ code, args: [page], flags, env: { PATH, ...env } });
  return { stdout: stdout.trim(), stderr };
}

Deno.test({
  name: "openBrowser: the page is one argument, and no shell sees it",
  ignore,
  fn: async () => {
    await using browser = await fakeBrowser();
    const { stdout } = await open(PAGE, browser.path);
    assertEquals([stdout, await browser.opened()], ["undefined", `1\n${PAGE}\n`]);
  },
});

Deno.test({
  name: "openBrowser: no page but one of the web over TLS, or of this host",
  ignore,
  fn: async () => {
    await using browser = await fakeBrowser();
    for (const page of ["http://login.example.com/", "file:///etc/passwd", "-h", "javascript:1"]) {
      const { stdout } = await open(page, browser.path);
      assertEquals([stdout, await browser.opened()], ["the page is no https: page", undefined]);
    }
    await open("http://127.0.0.1:8080/device", browser.path);
    assertEquals(await browser.opened(), "1\nhttp://127.0.0.1:8080/device\n");
  },
});

Deno.test({
  name: "openBrowser: what does not start, or fails, is said",
  ignore,
  fn: async () => {
    await using failing = await fakeBrowser(3);
    assertEquals((await open(PAGE, failing.path)).stdout, "xdg-open found no browser");
    const { stdout } = await open(PAGE, failing.path, []);
    assertMatch(stdout, /is not installed, or not permitted by --allow-run=xdg-open/);
    await using empty = await tempDir();
    assertEquals((await open(PAGE, empty.path, ["-A"])).stdout, "xdg-open cannot be run");
  },
});

Deno.test({
  name: "openBrowser: of the environment, the program gets what a desktop needs and no secret",
  ignore,
  fn: async () => {
    await using browser = await fakeBrowser();
    const secrets = { VM_API_SECRET: "s3cret", AWS_SECRET_ACCESS_KEY: "s3cret" };
    const desktop = {
      DISPLAY: ":0",
      DBUS_SESSION_BUS_ADDRESS: "unix:path=/run/x",
      HOME: "/home/x",
    };
    const env = { ...secrets, ...desktop };
    const run = async (...flags: string[]) => {
      await open(PAGE, browser.path, ["--allow-run=xdg-open", ...flags], env);
      // Deno adds to PATH, and the shell has variables of its own.
      const { PATH, PWD: _, SHLVL: __, _: ___, ...given } = await browser.environment();
      return { ...given, ...(PATH?.includes(browser.path) && { PATH: browser.path }) };
    };
    assertEquals(await run("--allow-env"), { ...desktop, PATH: browser.path });
    assertEquals(await run("--allow-env=DISPLAY,VM_API_SECRET"), { DISPLAY: ":0" });
    assertEquals(await run(), {}); // and nobody is asked
  },
});

/** A sign-in in a process of its own, with what it says. */
async function signIn(PATH: string, flags: string[] = []) {
  await using provider = await startOidcProvider({ interval: 0.05 });
  provider.approveNext({ afterPolls: 6 });
  const code = `
    import * as vm from ${JSON.stringify(MOD)};
    const [issuer, clientId] = Deno.args;
    await vm.createSession({ issuer, clientId, openBrowser: true,
      credentialsBackend: new vm.MemoryCredentialsBackend() });
  `;
  const { issuer, clientId } = provider;
  const options = { code, args: [issuer, clientId], env: { PATH } };
  return await runDeno({ ...options, flags: ["--allow-net=127.0.0.1", ...flags] });
}

Deno.test({
  name: "openBrowser: a sign-in opens the page with the code filled in",
  ignore,
  fn: async () => {
    await using browser = await fakeBrowser();
    const { code, stderr } = await signIn(browser.path, ["--allow-run=xdg-open"]);
    assertEquals(code, 0, stderr);
    const [page] = /http:\S+\?user_code=\S+/.exec(stderr)!;
    assertEquals(await browser.opened(), `1\n${page}\n`);
  },
});

Deno.test({
  name: "openBrowser: a sign-in without a browser goes on by the link",
  ignore,
  fn: async () => {
    await using empty = await tempDir();
    const { code, stderr } = await signIn(empty.path, ["--allow-run=xdg-open"]);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, "The browser was not opened: xdg-open is not installed, or not");
    assertStringIncludes(stderr, "\nSigned in as analyst@example.com.");
  },
});

Deno.test("openBrowser: its permission is named, as one that is not missed", async () => {
  const options = {
    issuer: "https://login.example.com",
    clientId: "my-app",
    model: "cl123",
    openBrowser: true,
  };
  const needs = await requiredPermissions(options);
  const run = needs.filter(({ name }) => name === "run");
  const command = { linux: "xdg-open", darwin: "open", windows: "rundll32" }[
    Deno.build.os as string
  ]!;
  assertEquals(run, [
    { name: "run", command, reason: "to open the browser at sign-in", need: "optional" },
  ]);
  const env = { name: "env", variable: "PATH", reason: run[0]!.reason, need: "optional" };
  assertEquals(needs.filter((need) => need.name === "env" && need.variable === "PATH"), [
    env as PermissionNeed,
  ]);
  const without = await requiredPermissions({ ...options, openBrowser: false });
  assertEquals(without.filter(({ reason }) => reason === env.reason), []);
});
