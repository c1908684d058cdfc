import type { KvCredentialsBackendOptions } from "@validmind/auth";
import type { VaultCredentialsBackendOptions } from "@validmind/auth/backends/vault";
import { documentedPolicy } from "../../backends/vault/vault_world.ts";
import { startFaultyProxy } from "../../support/faulty_proxy.ts";
import { startVaultCluster, type VaultCluster } from "../../support/servers/vault_cluster.ts";
import { SERVER_STORES, type Store, type StoreServer } from "./store.ts";

/** The backend of one person. Exactly one of `vault` and `kv` is given. */
export interface CrowdBackend {
  readonly vault?: VaultCredentialsBackendOptions;
  readonly kv?: KvCredentialsBackendOptions;
  /** Tells people apart in a store that has no paths. */
  readonly audience?: string;
}

/** A store of many people, each with an entry of their own. */
export interface CrowdStore extends Store {
  /** To kill a cluster kills its leader. */
  readonly server: StoreServer;
  /** Arguments, each of which only the command line of one of its servers has. */
  readonly marks: readonly string[];
  /** Lets one more person in. */
  admit(person: number): CrowdBackend | Promise<CrowdBackend>;
}

/** The stores of a crowd. */
export const CROWD_STORES: Record<string, (folder: string) => Promise<CrowdStore>> = {
  vault: (folder) => startCluster(folder),
  denokv: async (folder) => {
    const store = await SERVER_STORES.denokv!(folder);
    const { url } = store.server!;
    return {
      ...store,
      server: store.server!,
      marks: [new URL(url).host],
      admit: (person) => ({ kv: { path: url }, audience: `person-${person}` }),
    };
  },
};

/** A cluster behind a balancer, which picks any node that runs. Each person has a policy and a token. */
async function startCluster(folder: string): Promise<CrowdStore> {
  await using starting = new AsyncDisposableStack();
  const cluster = starting.use(await startVaultCluster({ folder }));
  const anyNode = () => cluster.urls[cluster.running()[0]!]!;
  const balancer = starting.use(startFaultyProxy(() => Number(new URL(anyNode()).port)));
  const address = `http://${balancer.address}`;
  let leader = await cluster.leader();
  const policy = await documentedPolicy();
  const started = starting.move();
  return {
    env: {},
    marks: cluster.urls.map((url) => `-listen=${new URL(url).host}`),
    server: {
      url: address,
      async kill() {
        leader = await cluster.leader();
        await cluster.kill(leader);
      },
      restart: () => cluster.restart(leader),
    },
    async admit(person) {
      const user = `person${person}`;
      const token = await makeToken(cluster, leader, user, policy);
      return { vault: { address, path: `users/${user}`, auth: { method: "token", token } } };
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

/** A token that may do what the backend's documentation says is enough for a person. */
async function makeToken(
  cluster: VaultCluster,
  node: number,
  user: string,
  policy: string,
): Promise<string> {
  const ofUser = { policy: policy.replaceAll("<name>", user) };
  await cluster.request(node, "PUT", `sys/policies/acl/${user}`, ofUser);
  const fields = { policies: [user], ttl: "1h" };
  const { body } = await cluster.request(node, "POST", "auth/token/create", fields);
  return body.auth.client_token;
}
