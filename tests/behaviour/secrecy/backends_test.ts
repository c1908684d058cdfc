import { assert, assertEquals } from "@std/assert";
import { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { KvCredentialsBackend } from "../../../backends/kv.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type { OidcCredentialsBackend } from "../../../backends/oidc_credentials_backend.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { backendUrl, runDeno } from "../../support/deno_process.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
import { sandbox } from "../../support/sandbox.ts";

const { folder, permissions } = sandbox();

const BACKENDS: Record<string, () => OidcCredentialsBackend> = {
  "file": () => new FileCredentialsBackend({ path: `${folder()}/credentials.json` }),
  "memory": () => new MemoryCredentialsBackend(),
  "kv in memory": () => new KvCredentialsBackend(),
  "kv on a path": () => new KvCredentialsBackend({ path: `${folder()}/kv.db` }),
};

for (const [name, create] of Object.entries(BACKENDS)) {
  Deno.test({
    name: `a ${name} backend that holds tokens shows none, also while it is locked`,
    permissions,
    async fn() {
      const backend = create();
      await backend.put(KEY, entry());
      await backend.get(KEY);
      assertNoSecret(backend);
      await backend.withLock?.(KEY, async () => {
        await backend.put(KEY, entry());
        assertNoSecret(backend);
      });
      const listed = await Array.fromAsync(backend.list?.() ?? []);
      assertEquals(listed, [KEY]);
      assertNoSecret(listed);
      await backend.close?.();
      assertNoSecret(backend);
    },
  });

  Deno.test({
    name: `an entry that a ${name} backend cannot take shows no token in the error`,
    permissions,
    async fn() {
      const backend = create();
      const circular = entry();
      circular.x_self = circular;
      const odd = [entry({ x_big: 1n }), circular, entry({ x_fill: "f".repeat(200_000) })];
      for (const value of odd) {
        try {
          await backend.put(OTHER, value);
        } catch (error) {
          assertNoSecret(error);
        }
      }
      await backend.close?.();
    },
  });
}

Deno.test("the console shows no token of a backend, nor of its errors", async () => {
  const parent = folder();
  const quoted = JSON.stringify(parent);
  const code = `
    import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
    import { KvCredentialsBackend } from "${backendUrl("kv.ts")}";
    import { MemoryCredentialsBackend } from "${backendUrl("memory.ts")}";
    const entry = ${JSON.stringify(entry())};
    const file = new FileCredentialsBackend({ path: ${quoted} + "/c.json" });
    const kv = new KvCredentialsBackend({ path: ${quoted} + "/kv.db" });
    for (const backend of [file, kv, new KvCredentialsBackend(), new MemoryCredentialsBackend()]) {
      await backend.put("k", entry);
      console.log(backend, "%o %O", backend, backend);
      console.dir(backend, { depth: 20, showHidden: true });
      console.table(backend);
      console.error(\`\${backend}\`, JSON.stringify(backend));
      await backend.close?.();
    }
    Deno.writeTextFileSync(${quoted} + "/c.json", JSON.stringify(entry).slice(0, 100), { mode: 0o600 });
    try {
      file.get("k");
    } catch (error) {
      console.log(error);
      console.trace(error);
    }
    await file.put("k", entry);
  `;
  const flags = [`--allow-read=${parent}`, `--allow-write=${parent}`, "--unstable-kv"];
  const { stdout, stderr, code: exit } = await runDeno({ code, flags });
  assertEquals(exit, 1);
  assert(stderr.includes("Uncaught") && stderr.includes("backend_corrupt"), stderr.slice(-500));
  assert(stdout.includes("MemoryCredentialsBackend"), "nothing was printed");
  assertNoSecret(stdout + stderr);
});

Deno.test("a CredentialsBackendError shows its name, code and message, and nothing else", () => {
  const error = new CredentialsBackendError("backend_full", "Cannot write: full. Free some space.");
  assertEquals(String(error), "CredentialsBackendError: Cannot write: full. Free some space.");
  assertEquals([error.name, JSON.stringify(error)], [
    "CredentialsBackendError",
    '{"code":"backend_full"}',
  ]);
});
