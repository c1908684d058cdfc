import { assertEquals } from "@std/assert";
import { walk } from "@std/fs/walk";
import { VaultCredentialsBackend } from "../../../backends/vault.ts";
import { startVault, type VaultServer } from "../../support/servers/vault_server.ts";
import { tempDir } from "../../support/temp_home.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { userToken, vaultBackend } from "../../backends/vault/vault_world.ts";
import { liveTests } from "../../support/servers/live_tests.ts";

const live = await liveTests("vault", "openssl");

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

/** What every call on a Vault that does not work has to be. */
async function allFail(backend: VaultCredentialsBackend, ...words: string[]): Promise<void> {
  const calls = [
    () => backend.get(KEY),
    () => backend.put(KEY, entry()),
    () => backend.delete(KEY),
    () => Array.fromAsync(backend.list()),
    () => backend.deleteAll(),
    () => backend.withLock(KEY, () => Promise.resolve()),
  ];
  for (const call of calls) {
    await rejectsWith("backend_unavailable", call, "Vault at 127.0.0.1:", ...words);
  }
}

live.test("a sealed Vault is waited for, and then backend_unavailable", async () => {
  await using opened = await open({ timeoutMs: 1000 });
  const { vault, token, backend } = opened;
  await vault.seal();
  await allFail(backend, "status 503 (Vault is sealed)");
  const fresh = vaultBackend(vault, token, { timeoutMs: 1000 });
  await allFail(fresh, "status 503 (Vault is sealed)");
  await vault.unseal();
  assertEquals(await backend.get(KEY), entry());
  assertEquals(await fresh.get(KEY), entry());
  await fresh.close();
});

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

live.test("a Vault that does not answer is backend_timeout, also while its lock is held", async () => {
  await using opened = await open({ timeoutMs: 1000 });
  const { vault, backend } = opened;
  await vault.pause();
  const { signal } = new AbortController();
  const calls = [
    () => backend.get(KEY),
    () => Array.fromAsync(backend.list()),
    () => backend.withLock(OTHER, () => Promise.resolve()),
    () => backend.withLock(OTHER, () => Promise.resolve(), { signal }),
  ];
  for (const call of calls) await rejectsWith("backend_timeout", call, "127.0.0.1:", "1000 ms");
  await vault.resume();
  const value = await backend.withLock(KEY, async () => {
    await vault.pause();
    return "done";
  });
  assertEquals(value, "done"); // the lock is not given back, and its lease ends by itself
  await vault.resume();
  assertEquals(await backend.get(KEY), entry());
});

live.test("a deletion that broke off within Vault is an error, and can be finished", async () => {
  await using folder = await tempDir();
  await using vault = await startVault({ storage: folder.path });
  const backend = vaultBackend(vault, await userToken(vault, "anna"), { timeoutMs: 500 });
  await backend.put(KEY, entry());
  await vault.stop();
  const found = await Array.fromAsync(walk(folder.path, { match: [/\/versions$/] }));
  for (const { path } of found) await Deno.remove(path, { recursive: true });
  await vault.restart();
  await rejectsWith("backend_unavailable", () => backend.get(KEY), "version data");
  await rejectsWith("backend_unavailable", () => Array.fromAsync(backend.list()), "version data");
  await backend.delete(KEY);
  await backend.put(KEY, entry({ x_second: 2 }));
  assertEquals(await backend.get(KEY), entry({ x_second: 2 }));
  await backend.close();
});

live.test("requests over a rate limit are repeated until they are let through", async () => {
  await using opened = await open();
  const { vault, backend } = opened;
  const quota = "sys/quotas/rate-limit/secret";
  await vault.request("POST", quota, { path: "secret/", rate: 10, interval: "1s" });
  await Promise.all(Array.from({ length: 15 }, () => backend.get(KEY)));
  await backend.close();
  await vault.request("POST", quota, { path: "secret/", rate: 1, interval: "1h" });
  await vault.request("GET", "secret/config");
  const hasty = vaultBackend(vault, opened.token, { timeoutMs: 1000 });
  await rejectsWith("backend_unavailable", () => hasty.get(KEY), "status 429");
  await hasty.close();
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
