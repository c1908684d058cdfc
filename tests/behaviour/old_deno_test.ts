import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  clearOidcCredentials,
  createSession,
  FileCredentialsBackend,
  init,
  KvCredentialsBackend,
  MemoryCredentialsBackend,
  startSignIn,
} from "../../mod.ts";
import { EncryptedCredentialsBackend } from "../../backends/encrypted.ts";
import { FallbackCredentialsBackend } from "../../backends/fallback.ts";
import { KeychainCredentialsBackend } from "../../backends/keychain.ts";
import { testCredentialsBackend } from "../../backends/testing.ts";
import { VaultCredentialsBackend } from "../../backends/vault.ts";
import { runMain } from "../client/cli/cli_world.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { replace } from "../support/replace.ts";

const NEEDS =
  `it needs Deno 2.7.1 or newer, and this is Deno ${Deno.version.deno}. Run: deno upgrade`;

/** A Deno without the youngest function that this module needs. */
function oldDeno(): Disposable {
  const restored = replace(Deno.FsFile.prototype, "tryLockSync", undefined as never);
  Reflect.deleteProperty(Deno.FsFile.prototype, "tryLockSync");
  return restored;
}

Deno.test("each way into the module names the Deno that it needs, and the one that runs", async () => {
  using _ = oldDeno();
  const identity = { issuer: "https://login.example.com", clientId: "old" };
  const backend = new MemoryCredentialsBackend();
  const key = { env: "KEY" };
  const ways: (() => unknown)[] = [
    () => createSession(identity),
    () => init({ ...identity, model: "m" }),
    () => clearOidcCredentials({ ...identity, credentialsBackend: backend }),
    () => startSignIn(identity),
    () => new FileCredentialsBackend({ path: "/nonexistent/c.json" }),
    () => new KvCredentialsBackend(),
    () => new KeychainCredentialsBackend(),
    () => new VaultCredentialsBackend({ path: "users/anna" }),
    () => new EncryptedCredentialsBackend({ backend, key }),
    () => new FallbackCredentialsBackend({ backends: [backend] }),
    () => testCredentialsBackend("memory", () => backend),
  ];
  for (const way of ways) await rejectsWith("runtime_unsupported", way, NEEDS);
});

Deno.test("the command line names it, too", async () => {
  using _ = oldDeno();
  const identity = ["--issuer", "https://login.example.com", "--client-id", "old"];
  assertStringIncludes((await runMain("token", ...identity)).stderr, NEEDS);
  assertEquals((await runMain("--help")).code, 0);
});
