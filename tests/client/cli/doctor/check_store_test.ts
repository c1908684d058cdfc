import { assertEquals, assertStringIncludes } from "@std/assert";
import { FileCredentialsBackend } from "../../../../backends/file.ts";
import { MemoryCredentialsBackend } from "../../../../backends/memory.ts";
import {
  checkBackend,
  checkFileModes,
  probeStore,
} from "../../../../client/cli/doctor/check_store.ts";
import { tempDir } from "../../../support/temp_home.ts";
import { SpyBackend } from "../../../support/spy_backend.ts";

const hasModes = Deno.build.os !== "windows";

for (
  const [name, folderMode, fileMode, result, words] of [
    ["closed", 0o700, 0o600, "ok", "closed to others"],
    ["a file that others read", 0o700, 0o644, "fail", "chmod 600"],
    ["a folder that others write", 0o777, 0o600, "fail", "chmod 700"],
    ["a folder that others see", 0o755, 0o600, "warning", "chmod 700"],
  ] as const
) {
  Deno.test({
    name: `checkFileModes: ${name}`,
    ignore: !hasModes,
    async fn() {
      await using dir = await tempDir();
      const folder = `${dir.path}/.validmind`;
      const path = `${folder}/credentials.json`;
      await Deno.mkdir(folder);
      await Deno.writeTextFile(path, '{"version": 1, "credentials": {}}');
      await Deno.chmod(path, fileMode);
      await Deno.chmod(folder, folderMode);
      const findings = checkFileModes(new FileCredentialsBackend({ path }));
      assertEquals(findings.map((one) => one.result), [result]);
      assertStringIncludes(`${findings[0]!.message} ${findings[0]!.advice}`, words);
      assertEquals(Deno.statSync(path).mode! & 0o777, fileMode);
      assertEquals(Deno.statSync(folder).mode! & 0o777, folderMode);
    },
  });
}

Deno.test({
  name: "checkFileModes: there is no file yet, or never one",
  ignore: !hasModes,
  async fn() {
    await using dir = await tempDir();
    const path = `${dir.path}/.validmind/credentials.json`;
    const [found] = checkFileModes(new FileCredentialsBackend({ path }));
    assertEquals([found?.result, found?.message], ["ok", "there is no file yet"]);
    assertEquals(checkFileModes(new MemoryCredentialsBackend()), []);
  },
});

Deno.test("probeStore: leaves the store as it was", async () => {
  const backend = new SpyBackend();
  assertEquals((await probeStore(backend, true)).result, "ok");
  assertEquals(backend.calls, ["put", "get", "delete", "get"]);
  assertEquals(backend.rows.size, 0);
});

Deno.test("probeStore: a write that would change file modes is left out", async () => {
  const backend = new SpyBackend();
  assertEquals((await probeStore(backend, false)).result, "skipped");
  assertEquals(backend.calls, []);
});

Deno.test("probeStore: a store that fails, or gives back something else, is a fail", async () => {
  const broken = new SpyBackend();
  broken.before = () => {
    throw new Error("a secret-token-1234");
  };
  const failed = await probeStore(broken, true);
  assertEquals(failed.result, "fail");
  assertEquals(failed.message.includes("secret"), false);

  const forgetful = new SpyBackend();
  forgetful.before = () => forgetful.rows.clear();
  assertStringIncludes((await probeStore(forgetful, true)).message, "did not come back the same");
});

Deno.test("checkBackend: what may surprise is a warning", () => {
  const chosen = (backend: SpyBackend | MemoryCredentialsBackend) => ({
    backend,
    name: "x",
    why: "y",
    needs: () => [],
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
  const spy = checkBackend(chosen(new SpyBackend())).map(({ message }) => message);
  assertStringIncludes(spy[1]!, "has no lock");
  assertStringIncludes(spy[2]!, "does not say which permissions");
  const memory = checkBackend(chosen(new MemoryCredentialsBackend()));
  assertEquals(memory.map(({ result }) => result), ["ok", "warning"]);
  assertStringIncludes(memory[1]!.message, "only while a process runs");
});
