// OpenBao, whose standbys answer reads by themselves: late, and without a sign of it.
import { assertEquals } from "@std/assert";
import { hashOf } from "../../../backends/common/bytes.ts";
import { testCredentialsBackend } from "../../../backends/testing.ts";
import { userToken, vaultBackend } from "../../backends/vault/vault_world.ts";
import { entry, KEY } from "../../support/entries.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { startVaultCluster, type VaultCluster } from "../../support/servers/vault_cluster.ts";
import { untilSo } from "../../support/servers/vault_server.ts";
import { tempDir } from "../../support/temp_home.ts";

const live = await liveTests("openbao");

const folder = await live.shared(() => tempDir());
const cluster = await live.shared(() => startVaultCluster(folder.path, "openbao"));
const token = await live.shared(() => userToken(cluster, "anna"));
live.afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** A store by one node, which knows nothing of the others. */
function storeAt(node: number) {
  return vaultBackend({ url: cluster.urls[node]! }, token);
}

// By a standby, a second handle does not see at once what the first one has written.
testCredentialsBackend("OpenBao's active node, with the documented policy", () => storeAt(0), {
  ignore: live.ignore,
  patienceMs: 20_000,
});

/** The versions of an entry, as the active node knows them. */
async function versionsOf(key: string) {
  const { body } = await cluster.request("GET", `secret/metadata/users/anna/${await hashOf(key)}`);
  return body.data as VaultMetadata;
}

interface VaultMetadata {
  max_versions: number;
  versions: Record<string, { destroyed: boolean }>;
}

live.test("OpenBao: by each of three nodes a sign-in is stored, replaced and signed out at once", async () => {
  await cluster.request("POST", "secret/config", { max_versions: 10 });
  for (let round = 0; round < 10; round++) {
    const [one, other, last] = [0, 1, 2].map((node) => storeAt((node + round) % 3));
    const key = `${KEY}|${round % 5}`;
    await one!.withLock(key, () => one!.put(key, entry({ round })));
    const isReplaced = (found?: object) => found !== undefined;
    const next = entry({ round, x_next: true });
    assertEquals(await other!.withLock(key, () => other!.put(key, next, { isReplaced })), true);
    await last!.delete(key);
    await one!.withLock(key, async () => assertEquals(await one!.get(key), undefined));
    for (const store of [one!, other!, last!]) await store.close();
    const { max_versions, versions } = await versionsOf(key);
    assertEquals(max_versions, 1);
    const newest = Object.keys(versions).map(Number).sort((a, b) => b - a);
    const readable = newest.filter((version) => !versions[version]!.destroyed);
    assertEquals(readable.length <= 3, true, `${readable}`); // two of the lock, without an entry
  }
  await cluster.request("POST", "secret/config", { max_versions: 0 });
});

live.test("OpenBao: while the active node steps down, every write is done or is an error by code", async () => {
  const store = storeAt(1);
  await store.put(KEY, entry({ n: 0 }));
  const stepDown = cluster.request("PUT", "sys/step-down");
  for (let n = 1; n <= 10; n++) await store.withLock(KEY, () => store.put(KEY, entry({ n })));
  assertEquals((await stepDown).status, 204);
  await untilSo(async () => (await leaderOf(cluster)) !== "");
  const check = storeAt(0);
  await check.withLock(KEY, async () => assertEquals((await check.get(KEY))?.n, 10));
  for (const one of [store, check]) await one.close();
});

async function leaderOf({ request, urls }: VaultCluster): Promise<string> {
  const { body } = await request("GET", "sys/leader", undefined, urls[1]);
  return body?.leader_address ?? "";
}
