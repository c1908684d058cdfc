import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { exists } from "@std/fs";
import { DELIMITER, fromFileUrl, join } from "@std/path";
import { runDeno } from "./deno_process.ts";
import { startHttpServer } from "./http_server.ts";
import { tempDir } from "./temp_home.ts";

const SETUP = fromFileUrl(new URL("./setup.ts", import.meta.url));
const UNREACHABLE = "http://127.0.0.1:1";

async function inTempRoot(test: (root: string) => Promise<void>): Promise<void> {
  await using folder = await tempDir();
  await test(folder.path);
}

/** A folder with an `npm` that can only fail. */
async function brokenNpm(root: string): Promise<string> {
  const bin = join(root, "bin");
  await Deno.mkdir(bin, { recursive: true });
  const script = "#!/bin/sh\necho 'npm error ENOTFOUND' >&2\nexit 1\n";
  await Deno.writeTextFile(join(bin, "npm"), script, { mode: 0o755 });
  await Deno.writeTextFile(
    join(bin, "npm.cmd"),
    "@echo npm error ENOTFOUND 1>&2\r\n@exit /b 1\r\n",
  );
  return bin;
}

async function setUp(root: string, options: { jsrUrl?: string; brokenNpm?: boolean } = {}) {
  const path = Deno.env.get("PATH") ?? "";
  const env: Record<string, string> = { NO_COLOR: "1", JSR_URL: options.jsrUrl ?? UNREACHABLE };
  if (options.brokenNpm) env.PATH = `${await brokenNpm(root)}${DELIMITER}${path}`;
  const flags = ["-A", "--no-config"];
  const how = { config: false, env, inheritEnv: true, timeoutMs: 300_000 };
  const { code, stderr } = await runDeno({ file: SETUP, flags, args: [root], ...how });
  return { code, stderr };
}

Deno.test("setup fills vendor/ from npm, leaves a whole tree alone and mends a broken one", () =>
  inTempRoot(async (root) => {
    const std = join(root, "vendor", "jsr.io", "@std");
    const module = join(std, "path", "1.1.4", "posix", "join.js");

    const first = await setUp(root);
    assertEquals(first.code, 0, first.stderr);
    assertStringIncludes(first.stderr, "are taken from npm instead");
    const original = await Deno.readTextFile(module);
    assert(original.startsWith('// @ts-self-types="./join.d.ts"\n'));

    // With JSR and npm both out of reach, only a run that asks neither is silent.
    assertEquals(await setUp(root, { brokenNpm: true }), { code: 0, stderr: "" });

    await Deno.writeTextFile(module, original.slice(0, 20));
    assertEquals((await setUp(root)).code, 0);
    assertEquals(await Deno.readTextFile(module), original);

    await Deno.remove(join(std, "fs"), { recursive: true });
    assertEquals((await setUp(root)).code, 0);
    assert(await exists(join(std, "fs", "1.0.23", "ensure_dir.d.ts")));
  }));

Deno.test("setup says what to do where neither JSR nor npm can be used", () =>
  inTempRoot(async (root) => {
    const { code, stderr } = await setUp(root, { brokenNpm: true });

    assertEquals(code, 1);
    assertMatch(stderr, /^Cannot set up vendor\/: JSR does not answer \(http:\/\/127\.0\.0\.1:1 /m);
    assertStringIncludes(stderr, "npm error ENOTFOUND");
    assertStringIncludes(stderr, "deno task setup");
    assert(!stderr.includes("    at "), "a stack trace says nothing to the person");
  }));

Deno.test("setup does not take a captive portal for JSR", () =>
  inTempRoot(async (root) => {
    await using portal = await startHttpServer(() => new Response("<html>Please pay</html>"));
    const { code, stderr } = await setUp(root, { jsrUrl: portal.origin, brokenNpm: true });

    assertEquals(code, 1);
    assertStringIncludes(stderr, "answered something else");
  }));
