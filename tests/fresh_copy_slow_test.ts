import { assertEquals, assertMatch } from "@std/assert";
import { exists } from "@std/fs";
import { DELIMITER, join } from "@std/path";
import { copyRepository } from "./support/copy_repository.ts";
import { startJsrRegistry } from "./support/jsr_registry.ts";
import { tempDir } from "./support/temp_home.ts";
import { runDenoTool } from "./support/deno_process.ts";

Deno.test("a fresh copy of the repository works with JSR and without npm", async () => {
  await using registry = await startJsrRegistry({ publish: false });
  await using temp = await tempDir();
  const root = join(temp.path, "auth");
  await copyRepository(root, "vendor");
  // The registry on loopback has JavaScript in place of JSR's sources: other sums than JSR's.
  const config = JSON.parse(await Deno.readTextFile(join(root, "deno.json")));
  await Deno.chmod(join(root, "deno.json"), 0o600); // the repository may be read-only
  await Deno.writeTextFile(join(root, "deno.json"), JSON.stringify({ ...config, lock: false }));
  const env = { ...registry.env, PATH: await pathWithBrokenNpm(temp.path) };

  assertEquals(await denoTask(root, env, "setup"), { code: 0, stdout: "" });
  assertEquals(await exists(join(root, "vendor")), false, "setup wrote what Deno fetches itself");
  assertEquals(registry.requests, ["/@std/path/meta.json"]);

  const demo = await denoTask(root, env, "demo");
  assertEquals(demo.code, 0, demo.stdout);
  assertMatch(demo.stdout, /^Done\. /m);

  const tested = await denoTask(root, env, "test", "tests/support/reports_test.ts");
  assertEquals(tested.code, 0, tested.stdout);
  assertMatch(tested.stdout, /^\d+ passed, 0 failed/m);
  assertEquals(await exists(join(temp.path, "npm-was-run")), false, "npm was run");
});

/** Puts an `npm` ahead of the real one that fails and leaves a trace. */
async function pathWithBrokenNpm(folder: string): Promise<string> {
  const bin = join(folder, "bin");
  const trace = join(folder, "npm-was-run");
  await Deno.mkdir(bin);
  await Deno.writeTextFile(join(bin, "npm"), `#!/bin/sh\n: > '${trace}'\nexit 1\n`, {
    mode: 0o755,
  });
  await Deno.writeTextFile(join(bin, "npm.cmd"), `@echo. > "${trace}"\r\n@exit /b 1\r\n`);
  return `${bin}${DELIMITER}${Deno.env.get("PATH") ?? ""}`;
}

async function denoTask(cwd: string, env: Record<string, string>, ...task: string[]) {
  const how = { cwd, env, inheritEnv: true, timeoutMs: 300_000 };
  const { code, stdout, stderr } = await runDenoTool(["task", "--quiet", ...task], how);
  return { code, stdout: code === 0 ? stdout : stdout + stderr };
}
