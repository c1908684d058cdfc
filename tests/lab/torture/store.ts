import { startVaultCluster } from "../../support/servers/vault_cluster.ts";
import { startVault } from "../../support/servers/vault_server.ts";

/** A store that processes share, chosen as a platform team would: by the environment. */
export interface Store extends AsyncDisposable {
  readonly env: Record<string, string>;
}

/** A store of several nodes, each of which answers. */
export interface ClusterStore extends Store {
  /** The variables by which a process finds each node. */
  readonly nodes: readonly Record<string, string>[];
  /** Has the active node give its place to another one. */
  stepDown(): Promise<void>;
}

/** Starts a store whose files, if it has any, lie in a folder. */
export type StartStore = (folder: string) => Store | Promise<Store>;

/** The stores that have a server. */
export const SERVER_STORES: Record<string, StartStore> = {
  vault: async (folder) => {
    const server = await startVault({ storage: `${folder}/vault` });
    const variables = { VAULT_ADDR: server.url, VAULT_TOKEN: server.rootToken };
    return storeOn(server, chosen("vault", { path: "users/one" }), variables);
  },
  "vault of three nodes": async (folder) => {
    const cluster = await startVaultCluster(folder);
    const variables = { VAULT_ADDR: cluster.url, VAULT_TOKEN: cluster.rootToken };
    return storeOn(cluster, chosen("vault", { path: "users/one" }), variables);
  },
};

/** The stores whose standbys answer reads, late. A process is at a standby unless it chooses a node. */
export const STANDBY_STORES: Record<string, (folder: string) => Promise<ClusterStore>> = {
  "openbao of three nodes": async (folder) => {
    const cluster = await startVaultCluster(folder, "openbao");
    const nodes = cluster.urls.map((url) => ({
      ...chosen("vault", { path: "users/one" }),
      VAULT_ADDR: url,
      VAULT_TOKEN: cluster.rootToken,
    }));
    const stepDown = async () => void await cluster.request("PUT", "sys/step-down");
    return { ...storeOn(cluster, nodes.at(-1)!), nodes, stepDown };
  },
};

/** The stores that need no server. */
export const FILE_STORES: Record<string, StartStore> = {
  file: (folder) => storeOn(undefined, chosen("file", { path: `${folder}/credentials.json` })),
  kv: (folder) => storeOn(undefined, chosen("kv", { path: `${folder}/credentials.kv` })),
};

/** A store that these variables choose, and its server. */
export function storeOn(server: AsyncDisposable | undefined, ...env: Record<string, string>[]) {
  return {
    env: Object.assign({}, ...env),
    [Symbol.asyncDispose]: async () => await server?.[Symbol.asyncDispose](),
  };
}

/** The variables that choose a built-in backend. */
export function chosen(name: string, options: object): Record<string, string> {
  return {
    VM_OIDC_CREDENTIALS_BACKEND: name,
    VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify(options),
  };
}
