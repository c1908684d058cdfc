import { assertEquals } from "@std/assert";
import { VaultCredentialsBackend } from "../../../backends/vault.ts";
import { startVault, type VaultServer } from "../../support/servers/vault_server.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { userToken, vaultBackend } from "../../backends/vault/vault_world.ts";
import { liveTests } from "../../support/servers/live_tests.ts";

const live = await liveTests("vault");

interface Opened extends AsyncDisposable {
  vault: VaultServer;
  token: string;
  backend: VaultCredentialsBackend;
}

async function open(
  { timeoutMs = 20_000, standby = false, tls = false } = {},
): Promise<Opened> {
  const vault = await startVault({ standby, tls });
  const token = await userToken(vault, "anna");
  const caCert = vault.caFile;
  const backend = vaultBackend(vault, token, { timeoutMs, ...(caCert && { caCert }) });
  await backend.put(KEY, entry());
  const dispose = async () => {
    await backend.close();
    await vault[Symbol.asyncDispose]();
  };
  return { vault, token, backend, [Symbol.asyncDispose]: dispose };
}

live.test("an operation under way rides over a seal and an unseal", async () => {
  await using opened = await open();
  const { vault, backend } = opened;
  await vault.seal();
  const work = Promise.all([
    backend.get(KEY),
    backend.put(OTHER, entry({ x_second: 2 })),
    backend.withLock(KEY, () => backend.put(KEY, entry({ x_third: 3 }))),
  ]);
  await vault.unseal();
  assertEquals((await work)[0]?.client_id, "my-app");
  assertEquals(await backend.get(OTHER), entry({ x_second: 2 }));
  assertEquals(await backend.get(KEY), entry({ x_third: 3 }));
});

live.test("writers lose nothing that was acknowledged when Vault is killed and started under load", async () => {
  await using opened = await open();
  const { vault, token } = opened;
  let isOver = false;
  const stored = new Map<string, number>();
  const writers = Array.from({ length: 4 }, async (_, index) => {
    const backend = vaultBackend(vault, token, { timeoutMs: 20_000, lockTimeoutMs: 60_000 });
    const key = `${KEY}|${index}`;
    for (let i = 1; !isOver; i++) {
      await backend.withLock(key, () => backend.put(key, entry({ i })));
      stored.set(key, i);
    }
    await backend.close();
  });
  for (let round = 0; round < 3; round++) {
    const before = [...stored.values()].reduce((sum, count) => sum + count, 0);
    while ([...stored.values()].reduce((sum, count) => sum + count, 0) < before + 8) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await vault.kill();
    await vault.restart();
  }
  isOver = true;
  await Promise.all(writers);
  const check = vaultBackend(vault, token);
  assertEquals(stored.size, 4);
  for (const [key, i] of stored) assertEquals((await check.get(key))?.i, i);
  await check.close();
});

live.test("a standby's redirect is not followed, and names the active node", async () => {
  await using opened = await open({ standby: true });
  const { vault, token } = opened;
  const address = vault.standbyUrl!;
  const auth = { method: "token", token } as const;
  const alone = new VaultCredentialsBackend({ address, path: "users/anna", auth, timeoutMs: 1000 });
  const words = [`redirects to ${new URL(vault.url).host}`, "the active node"];
  await rejectsWith("backend_unavailable", () => alone.get(KEY), ...words);
  // The nodes change their places under it.
  await vault.request("PUT", "sys/step-down");
  const other = new VaultCredentialsBackend({ address, path: "users/anna", auth });
  assertEquals(await other.get(KEY), entry());
  await other.close();
  await alone.close();
});
