import { assertEquals } from "@std/assert";
import { startVault } from "../../support/servers/vault_server.ts";
import { entry, KEY } from "../../support/entries.ts";
import { userToken, vaultBackend } from "../../backends/vault/vault_world.ts";
import { liveTests } from "../../support/servers/live_tests.ts";

const live = await liveTests("vault");

live.test("writers lose nothing that was acknowledged when Vault is killed and started under load", async () => {
  await using vault = await startVault();
  const token = await userToken(vault, "anna");
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
