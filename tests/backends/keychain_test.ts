import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { loadBackendFromEnv } from "@validmind/auth";
import { KeychainCredentialsBackend } from "../../backends/keychain.ts";
import {
  KEYRING_VERSION,
  libraryPath,
  locateLibrary,
  openKeychainLibrary,
} from "../../backends/keychain/client.ts";
import { entry, KEY } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { sandbox } from "../support/sandbox.ts";
import { withEnv } from "../support/own_env.ts";
import { ScriptedLibrary } from "./keychain/scripted_library.ts";

const { folder } = sandbox();

Deno.test(
  "a keychain declares its library's path, its lock folder, and the home only without one",
  {
    ignore: Deno.build.os === "windows",
  },
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

Deno.test("the environment names it, with its options", async () => {
  await withEnv({
    VM_OIDC_CREDENTIALS_BACKEND: "keychain",
    VM_OIDC_CREDENTIALS_BACKEND_KWARGS: '{"service": "named", "lockFolder": "/locks"}',
  }, async () => {
    const backend = await loadBackendFromEnv();
    assertEquals((backend as KeychainCredentialsBackend).service, "named");
  });
});

Deno.test("without permission nothing is touched, and the flag is named", {
  permissions: "none",
}, async () => {
  const backend = new KeychainCredentialsBackend({ lockFolder: "/nowhere/locks" });
  const runs = [
    () => backend.get("key"),
    () => backend.put("key", entry()),
    () => backend.delete("key"),
    () => backend.deleteAll(),
    () => Array.fromAsync(backend.list()),
  ];
  const words = ["Cannot use the OS keychain", `--allow-ffi=${libraryPath}`];
  for (const run of runs) await rejectsWith("permission_required", run, ...words);
  const lock = () => backend.withLock!("key", () => Promise.resolve());
  await rejectsWith("permission_required", lock, "--allow-write=/nowhere/locks");
});

Deno.test("the library is of the release that deno.json names, and loads", async () => {
  const config = await Deno.readTextFile(new URL("../../deno.json", import.meta.url));
  const { imports } = JSON.parse(config);
  assertEquals(imports["@napi-rs/keyring"], `npm:@napi-rs/keyring@${KEYRING_VERSION}`);
  assert((await Deno.stat(libraryPath!)).size > 100_000);
  assertEquals(typeof openKeychainLibrary(libraryPath).AsyncEntry, "function");
});

Deno.test("no library, and one that is none, are errors that say so", async () => {
  assertEquals(await locateLibrary("sparc-sun-solaris"), undefined); // no error yet
  const none = () => openKeychainLibrary(import.meta.filename);
  await rejectsWith("backend_unavailable", none, "does not load");
  await rejectsWith("backend_unavailable", () => openKeychainLibrary(undefined), Deno.build.target);
});

Deno.test("each service has its own entries, under its keys, and writes wait in time", async () => {
  const scripted = new ScriptedLibrary();
  scripted.load();
  const lockFolder = folder();
  const open = (options = {}) => new KeychainCredentialsBackend({ lockFolder, ...options });
  await open().put(KEY, entry());
  assertEquals(JSON.parse(scripted.of("validmind-auth").get(KEY)!), entry());
  const team = open({ service: "team", lockTimeoutMs: 10, timeoutMs: 20 });
  assertEquals([await team.get(KEY), await Array.fromAsync(team.list())], [undefined, []]);
  await team.withLock(KEY, async () => {
    const lock = () => team.withLock(KEY, () => Promise.resolve());
    await rejectsWith("backend_locked", lock, "10 ms");
  });
  scripted.until = new Promise(() => {});
  await rejectsWith("backend_timeout", () => team.get(KEY), '"team"', "20 ms");
});
