// A bundle beside the keychain and Vault, which a script reaches over the network or a native library.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { userToken } from "../../backends/vault/vault_world.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { startKeyringSession } from "../../support/servers/keyring_session.ts";
import { startVault } from "../../support/servers/vault_server.ts";
import { findDenoDir } from "../../support/deno_process.ts";
import { tempDir } from "../../support/temp_home.ts";
import { bundle, PROGRAM, runCommand } from "../../behaviour/bundles/bundle_world.ts";

const withKeyring = await liveTests("keyring");
const withVault = await liveTests("vault");

const TRIP = { got: "a", keys: ["https://login.example.com|my-app"], gone: true };

withKeyring.test("a minified bundle keeps tokens in the keychain", async () => {
  await using folder = await tempDir();
  await using session = await startKeyringSession();
  const file = await bundle(PROGRAM, folder.path, "minified");
  const env = { ...session.env, DENO_DIR: findDenoDir() };
  const trip = await runCommand(file, ["keychainTrip"], { env });
  const location = '"validmind-auth" in the Secret Service (GNOME Keyring, KWallet, KeePassXC)';
  assertEquals(trip, { ...TRIP, name: "KeychainCredentialsBackend", location });
});

withVault.test("a minified bundle keeps tokens in Vault", async () => {
  await using folder = await tempDir();
  await using vault = await startVault();
  const token = await userToken(vault, "anna");
  const file = await bundle(PROGRAM, folder.path, "minified");
  const options = JSON.stringify({
    address: vault.url,
    path: "users/anna",
    auth: { method: "token", token },
  });
  const { location, ...trip } = await runCommand(file, ["vault", options], {
    env: { HOME: folder.path },
  }) as Record<string, unknown>;
  assertEquals(trip, { ...TRIP, name: "VaultCredentialsBackend" });
  assertStringIncludes(String(location), new URL(vault.url).host);
});
