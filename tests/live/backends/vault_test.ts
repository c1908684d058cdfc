import { assertEquals } from "@std/assert";
import { hashOf } from "../../../backends/common/bytes.ts";
import { testCredentialsBackend } from "../../../backends/testing.ts";
import { VaultCredentialsBackend } from "../../../backends/vault.ts";
import { userToken, vaultBackend } from "../../backends/vault/vault_world.ts";
import { entry, KEY } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { startServerProcess } from "../../support/servers/server_process.ts";
import { serverBinary } from "../../support/servers/servers.ts";
import { startVault, type VaultAnswer } from "../../support/servers/vault_server.ts";
import { tempDir } from "../../support/temp_home.ts";

const live = await liveTests("vault");

/** Before the tests: the permissions of one name its port. */
const vault = await live.shared(() => startVault());
const token = await live.shared(() => userToken(vault, "anna"));
live.afterAll(async () => await vault[Symbol.asyncDispose]());

testCredentialsBackend(
  "Vault with the documented policy",
  () => vaultBackend(vault, token),
  {
    broken: () => vaultBackend(vault, "not-a-token-of-this-vault"),
    permissions: live.ignore ? "none" : { net: [new URL(vault.url).host] },
    ignore: live.ignore,
    patienceMs: 20_000,
  },
);

const NAME = await hashOf(KEY);

/** What an administrator sees of `users/anna`: `part` is `data` or `metadata`. */
function look(part: string, name = NAME): Promise<VaultAnswer> {
  return vault.request("GET", `secret/${part}/users/anna/${name}`);
}

/** A test with an empty store. */
function test(name: string, run: (backend: VaultCredentialsBackend) => Promise<void>): void {
  live.test(`Vault: ${name}`, async () => {
    const backend = vaultBackend(vault, token);
    await backend.deleteAll();
    await run(backend);
    await backend.close();
  });
}

test("one version is kept of an entry", async (backend) => {
  await backend.put(KEY, entry());
  await backend.put(KEY, entry({ x_second: 2 }));
  const { body: own } = await look("metadata");
  assertEquals(own.data.max_versions, 1);
  assertEquals(Object.keys(own.data.versions), ["2"]);
  assertEquals((await look("data", `${NAME}?version=1`)).status, 404);
});

test("delete leaves an empty entry and no older version, also where the engine keeps ten", async (backend) => {
  await vault.request("POST", "secret/config", { max_versions: 10 });
  await backend.put(KEY, entry());
  await backend.put(KEY, entry());
  await backend.delete(KEY);
  const { body } = await look("data");
  assertEquals(body.data.data, { key: KEY, entry: "", holder: "" });
  const older = Array.from({ length: body.data.metadata.version - 1 }, (_, index) => index + 1);
  await vault.request("POST", `secret/undelete/users/anna/${NAME}`, { versions: older });
  for (const version of older) {
    assertEquals((await look("data", `${NAME}?version=${version}`)).status, 404);
  }
  assertEquals(await backend.get(KEY), undefined);
  await backend.delete(KEY);
  await vault.request("POST", "secret/config", { max_versions: 0 });
});

test("an entry that was marked as deleted, or destroyed, is absent and can be written", async (backend) => {
  const ends = [["DELETE", "data"], ["POST", "destroy"]] as const;
  for (const [index, [method, part]] of ends.entries()) {
    await backend.put(KEY, entry());
    const { body } = await look("metadata");
    const versions = [body.data.current_version];
    await vault.request(method, `secret/${part}/users/anna/${NAME}`, { versions });
    assertEquals((await look("data")).body.data.data, null); // 404 with a body
    assertEquals(await backend.get(KEY), undefined);
    assertEquals(await Array.fromAsync(backend.list()), []);
    await backend.put(KEY, entry({ index }));
    assertEquals(await backend.get(KEY), entry({ index }));
  }
});

test("writes at the same time with cas_required all succeed, and one of them is stored", async (backend) => {
  await vault.request("POST", "secret/config", { cas_required: true });
  const other = vaultBackend(vault, token);
  const before = (await look("metadata")).body.data?.current_version ?? 0;
  await Promise.all(
    Array.from({ length: 8 }, (_, i) => [backend, other][i % 2]!.put(KEY, entry({ i }))),
  );
  const stored = await backend.get(KEY);
  assertEquals(stored, entry({ i: stored?.i }));
  assertEquals((await look("metadata")).body.data.current_version, before + 8);
  await other.close();
  await vault.request("POST", "secret/config", { cas_required: false });
});

test("an AppRole's secret id in a file is read at each login", async (seed) => {
  await seed.put(KEY, entry());
  await using folder = await tempDir();
  const secretIdFile = `${folder.path}/secret-id`;
  const role = "auth/apps/role/filed";
  await vault.request("POST", "sys/auth/apps", { type: "approle" });
  await vault.request("POST", role, { token_policies: ["validmind-anna"] });
  const { body } = await vault.request("GET", `${role}/role-id`);
  const auth = { method: "approle", mount: "apps", roleId: body.data.role_id } as const;
  const backend = vaultBackend(vault, "", { auth: { ...auth, secretIdFile } });
  await rejectsWith("backend_auth_failed", () => backend.get(KEY), secretIdFile, "is not there");
  for (let login = 0; login < 2; login++) {
    const { body: { data } } = await vault.request("POST", `${role}/secret-id`, {});
    await Deno.writeTextFile(secretIdFile, `${data.secret_id}\n`, { mode: 0o600 });
    assertEquals(await backend.get(KEY), entry());
    await vault.request("POST", `${role}/secret-id/destroy`, data);
    await vault.request("PUT", "sys/leases/revoke-prefix/auth/apps/login");
  }
  await rejectsWith("backend_auth_failed", () => backend.get(KEY), "invalid secret id");
  await backend.close();
});

test("a token without the policy default works, and what it may not do is an error", async (seed) => {
  await seed.put(KEY, entry());
  const bare = await userToken(vault, "anna", { no_default_policy: true });
  const backend = vaultBackend(vault, bare);
  assertEquals(await backend.get(KEY), entry());
  await backend.close();
  const elsewhere = vaultBackend(vault, bare, { path: "users/berta" });
  await rejectsWith("backend_auth_failed", () => elsewhere.get(KEY), "its policies");
  await elsewhere.close();
});

/** Vault Agent's proxy on loopback, with a token that stands in for its own login. */
async function startVaultAgent(token: string) {
  const process = await startServerProcess({
    command: [await serverBinary("vault"), `-agent=${vault.url}`],
    env: { VAULT_TOKEN: token },
    readyOn: "stdout",
    ready: /^(.+)$/,
  });
  return {
    open: (path: string) =>
      new VaultCredentialsBackend({ address: `http://${process.said}`, path }),
    [Symbol.asyncDispose]: () => process.end("KILL"),
  };
}

live.test("Vault Agent: a store without a token uses the agent's, and is told what it may not", async () => {
  await using agent = await startVaultAgent(token);
  const own = agent.open("users/anna");
  assertEquals(await own.withLock(KEY, () => own.put(KEY, entry())), true);
  assertEquals(await own.get(KEY), entry());
  const other = agent.open("users/berta");
  await rejectsWith("backend_denied", () => other.get(KEY), "users/berta");
  await using ended = await startVaultAgent("hvs.ended");
  const stale = ended.open("users/anna");
  await rejectsWith("backend_auth_failed", () => stale.get(KEY), "Vault Agent");
  for (const store of [own, other, stale]) await store.close();
});

live.test("writers lose nothing that was acknowledged when Vault is killed and started under load", async () => {
  await using vault = await startVault();
  const token = await userToken(vault, "anna");
  let isOver = false;
  const stored = new Map<string, number>();
  const count = () => [...stored.values()].reduce((sum, one) => sum + one, 0);
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
    const before = count();
    while (count() < before + 8) await new Promise((resolve) => setTimeout(resolve, 5));
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
