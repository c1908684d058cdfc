import { assertEquals } from "@std/assert";
import { VaultCredentialsBackend } from "../../../backends/vault.ts";
import { userToken } from "../../backends/vault/vault_world.ts";
import { entry, KEY } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { startServerProcess } from "../../support/servers/server_process.ts";
import { serverBinary } from "../../support/servers/servers.ts";
import { startVault, type VaultServer } from "../../support/servers/vault_server.ts";

const live = await liveTests("vault");

/** Vault Agent's proxy on loopback, with a token that stands in for its own login. */
async function startVaultAgent(vault: VaultServer, token: string) {
  const process = await startServerProcess({
    command: [await serverBinary("vault"), `-agent=${vault.url}`],
    env: { VAULT_TOKEN: token },
    readyOn: "stdout",
    ready: /^(.+)$/,
  });
  return {
    address: `http://${process.said}`,
    [Symbol.asyncDispose]: () => process.end("KILL"),
  };
}

live.test("Vault Agent: a store without a token uses the agent's, and is told what it may not", async () => {
  await using vault = await startVault();
  await using agent = await startVaultAgent(vault, await userToken(vault, "anna"));
  const own = new VaultCredentialsBackend({ address: agent.address, path: "users/anna" });
  assertEquals(await own.withLock(KEY, () => own.put(KEY, entry())), undefined);
  assertEquals(await own.get(KEY), entry());
  const other = new VaultCredentialsBackend({ address: agent.address, path: "users/berta" });
  await rejectsWith("backend_denied", () => other.get(KEY), "users/berta");
  await using ended = await startVaultAgent(vault, "hvs.ended");
  const stale = new VaultCredentialsBackend({ address: ended.address, path: "users/anna" });
  await rejectsWith("backend_auth_failed", () => stale.get(KEY), "Vault Agent");
  for (const store of [own, other, stale]) await store.close();
});
