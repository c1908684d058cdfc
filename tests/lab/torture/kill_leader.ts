import { delay } from "../../../backends/common/promises.ts";
import { startFaultyProxy } from "../../support/faulty_proxy.ts";
import { startVaultCluster, type VaultCluster } from "../../support/servers/vault_cluster.ts";
import { Random } from "./random.ts";
import { RefreshRounds } from "./refresh_rounds.ts";
import { SignedIn } from "./signed_in.ts";
import { chosen } from "./store.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

/** Options of {@linkcode killLeader}. */
export interface KillLeaderOptions extends TortureOptions {
  /** How many processes refresh at once. */
  processes: number;
}

/** Many processes begin over a time that is about as long. */
const LONGEST_LIFE_MS = 1500;
const LONGEST_OUTAGE_MS = 3000;

/**
 * Kills the leader of a Vault cluster at a random moment of each round, and starts it again. The
 * processes reach the cluster through a balancer, which picks any node that runs.
 */
export async function killLeader(options: KillLeaderOptions): Promise<TortureResult> {
  const { count, processes, seed } = options;
  await using cluster = await startVaultCluster();
  await using balancer = startFaultyProxy(() => portOf(cluster, cluster.running()[0]!));
  const env = {
    ...chosen("vault", { path: "users/one" }),
    VAULT_ADDR: `http://${balancer.address}`,
    VAULT_TOKEN: cluster.rootToken,
  };
  const random = new Random(seed);
  const store = { env, [Symbol.asyncDispose]: () => Promise.resolve() };
  return await SignedIn.run(store, async (signedIn) => {
    const rounds = new RefreshRounds(signedIn, processes);
    for (let round = 0; round < count; round++) {
      await rounds.play(async () => {
        await delay(random.int(0, LONGEST_LIFE_MS));
        const leader = await cluster.leader();
        await cluster.kill(leader);
        await delay(random.int(0, LONGEST_OUTAGE_MS));
        await cluster.restart(leader);
      });
    }
    const name = `${count} rounds of ${processes} processes, the leader of three killed in each`;
    return { name, ...rounds.result() };
  });
}

function portOf(cluster: VaultCluster, node: number): number {
  return Number(new URL(cluster.urls[node]!).port);
}
