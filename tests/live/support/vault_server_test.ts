import { assertEquals, assertRejects } from "@std/assert";
import { tempDir } from "../../support/temp_home.ts";
import { startVault } from "../../support/servers/vault_server.ts";
import { liveTests } from "../../support/servers/live_tests.ts";

const live = await liveTests("vault", "openssl");

const ENTRY = { data: { value: "kept" } };

live.test("a Vault has KV 2 and KV 1, and keeps both over a kill", async () => {
  await using vault = await startVault();
  await vault.request("POST", "secret/data/a", ENTRY);
  await vault.request("POST", "kv1/a", ENTRY.data);
  await vault.kill();
  await assertRejects(() => vault.request("GET", "kv1/a"), TypeError);
  await vault.restart();
  assertEquals((await vault.request("GET", "secret/data/a")).body.data.data, ENTRY.data);
  assertEquals((await vault.request("GET", "kv1/a")).body.data, ENTRY.data);
});

live.test("a Vault's folder outlives it", async () => {
  await using folder = await tempDir();
  await using vault = await startVault({ storage: folder.path });
  await vault.stop();
  const names = (await Array.fromAsync(Deno.readDir(folder.path))).map(({ name }) => name).sort();
  assertEquals(names, ["core", "logical", "sys"]);
});

live.test("a sealed Vault answers 503 until it is unsealed", async () => {
  await using vault = await startVault();
  await vault.seal();
  assertEquals((await vault.request("GET", "secret/config")).status, 503);
  await vault.unseal();
  assertEquals((await vault.request("GET", "secret/config")).status, 200);
});

live.test("a Vault takes who has a token", async () => {
  await using vault = await startVault();
  assertEquals((await vault.request("GET", "kv1/a", undefined, { token: null })).status, 403);
  assertEquals((await vault.request("GET", "kv1/a", undefined, { token: "other" })).status, 403);
  assertEquals((await vault.request("GET", "kv1/a")).status, 404);
});

live.test("a Vault has the ways to sign in that the tests use", async () => {
  await using vault = await startVault();
  for (const type of ["approle", "jwt", "kubernetes", "userpass"]) {
    assertEquals((await vault.request("POST", `sys/auth/${type}`, { type })).status, 204);
  }
});

live.test("a standby sends on to the active Vault, and takes over from it", async () => {
  await using vault = await startVault({ tls: true, standby: true });
  const url = vault.standbyUrl;
  assertEquals((await vault.request("GET", "sys/health", undefined, { url })).status, 429);
  const { status, headers } = await vault.request("GET", "kv1/a", undefined, { url });
  assertEquals(status, 307);
  assertEquals(headers.get("location"), `${vault.url}/v1/kv1/a`);
  await vault.seal();
  assertEquals((await vault.request("GET", "sys/health", undefined, { url })).status, 503);
  await vault.restart();
  assertEquals((await vault.request("GET", "secret/config")).status, 200);
});
