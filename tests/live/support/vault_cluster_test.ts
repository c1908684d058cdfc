import { assertEquals, assertNotEquals } from "@std/assert";
import { startVaultCluster } from "../../support/servers/vault_cluster.ts";
import { liveTests } from "../../support/servers/live_tests.ts";

const live = await liveTests("vault");

live.test("a cluster of Vault outlives its leader, and takes it back", async () => {
  await using cluster = await startVaultCluster();
  for (const node of cluster.urls.keys()) {
    // A node that is not active sends the request on to the one that is.
    const { status } = await cluster.request(node, "POST", "secret/data/a", { data: { node } });
    assertEquals(status, 200);
  }
  const leader = await cluster.leader();
  await cluster.kill(leader);
  const next = await cluster.leader();
  assertNotEquals(next, leader);
  const { body } = await cluster.request(next, "GET", "secret/data/a");
  assertEquals(body.data.data, { node: 2 });
  await cluster.restart(leader);
  assertEquals(cluster.running().toSorted(), [0, 1, 2]);
});
