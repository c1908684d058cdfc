import { assertEquals, assertStringIncludes } from "@std/assert";
import { KeychainCredentialsBackend } from "../../backends/keychain.ts";
import { libraryPath } from "../../backends/keychain/library.ts";
import { loadBackendFromEnv } from "@validmind/auth";
import { entry } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { backendUrl, runDeno } from "../support/deno_process.ts";
import { withEnv } from "../support/own_env.ts";

Deno.test(
  "a keychain declares its library's path, its lock folder, and the home only without one",
  { ignore: Deno.build.os === "windows" },
  async () => {
    const ffi = { name: "ffi", path: libraryPath } as const;
    const locks = (path: string) => [
      { name: "read", path, need: "sign_in" } as const,
      { name: "write", path, need: "sign_in" } as const,
    ];
    await withEnv({ HOME: "/home/ada" }, () => {
      const needs = new KeychainCredentialsBackend().requiredPermissions();
      const home = { name: "env", variable: "HOME" } as const;
      assertEquals(needs, [ffi, ...locks("/home/ada/.validmind"), home]);
    });
    const given = new KeychainCredentialsBackend({ lockFolder: "/locks" });
    assertEquals(given.requiredPermissions(), [ffi, ...locks("/locks")]);
  },
);

Deno.test("a keychain says where its entries are", () => {
  const backend = new KeychainCredentialsBackend({ lockFolder: "/locks", service: "my-service" });
  assertEquals(backend.persistent, true);
  assertStringIncludes(backend.location, '"my-service" in the ');
});

Deno.test("options that are wrong are refused", async () => {
  const create = (options: unknown) => () => new KeychainCredentialsBackend(options as never);
  await rejectsWith("invalid_options", create({ serivce: "x" }), '"serivce"', "service, timeoutMs");
  await rejectsWith("invalid_options", create({ service: " " }), '"service"');
  await rejectsWith("invalid_options", create({ timeoutMs: "1" }), '"timeoutMs"');
  await rejectsWith("invalid_options", create({ lockTimeoutMs: -1 }), '"lockTimeoutMs"');
  await rejectsWith("invalid_options", create({ lockFolder: true }), '"lockFolder"');
  await rejectsWith(
    "invalid_options",
    create({ lockFolder: "~/locks" }),
    '"lockFolder"',
    "plain path",
  );
});

Deno.test("the environment names it, with its options", async () => {
  await withEnv({
    VM_OIDC_CREDENTIALS_BACKEND: "keychain",
    VM_OIDC_CREDENTIALS_BACKEND_KWARGS: '{"service": "named", "lockFolder": "/locks"}',
  }, async () => {
    const backend = await loadBackendFromEnv();
    assertEquals((backend as KeychainCredentialsBackend).service, "named");
  });
});

Deno.test("without its library's permission nothing is touched, and the flag is named", async () => {
  const code = `
    import { KeychainCredentialsBackend } from "${backendUrl("keychain.ts")}";
    const backend = new KeychainCredentialsBackend({ lockFolder: "/nowhere/locks" });
    for (
      const run of [
        () => backend.get("key"),
        () => backend.put("key", ${JSON.stringify(entry())}),
        () => backend.delete("key"),
        () => backend.deleteAll(),
        () => Array.fromAsync(backend.list()),
      ]
    ) {
      await run().catch(({ code, message }) => console.log(code, message));
    }
  `;
  const { stdout, stderr } = await runDeno({ code });
  const lines = stdout.trim().split("\n");
  assertEquals(lines.length, 5, stderr);
  for (const line of lines) {
    assertStringIncludes(line, "permission_required");
    assertStringIncludes(line, `--allow-ffi=${libraryPath}`);
  }
});

Deno.test("a lock folder that may not be written is an error that names the flags", async () => {
  const code = `
    import { KeychainCredentialsBackend } from "${backendUrl("keychain.ts")}";
    const backend = new KeychainCredentialsBackend({ lockFolder: "/nowhere/locks" });
    const run = () => backend.withLock("key", () => Promise.resolve());
    await run().catch(({ code, message }) => console.log(code, message));
  `;
  const { stdout } = await runDeno({ code });
  assertStringIncludes(stdout, "permission_required");
  assertStringIncludes(stdout, "--allow-write=/nowhere/locks");
});
