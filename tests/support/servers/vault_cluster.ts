import { freePort } from "./free_port.ts";
import { type ServerProcess, startServerProcess } from "./server_process.ts";
import { serverBinary, serverFolder } from "./servers.ts";
import { requestVault, untilSo } from "./vault_server.ts";

const NODES = 3;

/** The servers that can form a cluster. */
export type ClusterKind = "vault" | "openbao";

/** A node of a cluster. */
interface Node {
  readonly name: string;
  readonly url: string;
  readonly storage: string;
}

/** Three nodes with integrated storage, and KV 2 at `secret/`. */
export type VaultCluster = Awaited<ReturnType<typeof startVaultCluster>>;

/** Starts a cluster whose first node is active. A standby of OpenBao answers reads by itself. */
export async function startVaultCluster(folder: string, kind: ClusterKind = "vault") {
  await using stack = new AsyncDisposableStack();
  const urls: string[] = [];
  for (let at = 0; at < NODES; at++) {
    const node = {
      name: `node${at}`,
      url: `http://127.0.0.1:${freePort()}`,
      storage: `${folder}/${at}`,
    };
    const process = await startNode(kind, node);
    stack.defer(() => process.end("KILL"));
    urls.push(node.url);
  }
  const rootToken = await join(urls);
  const started = stack.move();
  return {
    /** The node that was the active one at first. */
    url: urls[0]!,
    urls,
    rootToken,
    /** Calls the API of a node as root: `path` is what follows `/v1/`. */
    request: (method: string, path: string, body?: unknown, url = urls[0]!) =>
      requestVault(url, method, path, body, { token: rootToken }),
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

async function startNode(kind: ClusterKind, node: Node): Promise<ServerProcess> {
  await Deno.mkdir(node.storage, { recursive: true });
  const cluster = `127.0.0.1:${freePort()}`;
  if (kind === "openbao") return await startOpenBao(node, cluster);
  return await startServerProcess({
    command: [
      await serverBinary("vault"),
      `-listen=${new URL(node.url).host}`,
      `-storage=${node.storage}`,
      `-raft=${node.name}`,
      `-cluster=${cluster}`,
    ],
    readyOn: "stdout",
    ready: /^(.+)$/,
  });
}

async function startOpenBao({ name, url, storage }: Node, cluster: string): Promise<ServerProcess> {
  const config = `${storage}.json`;
  // As quick as in production, and a node that has kept up gets its vote soon.
  const raft = {
    path: storage,
    node_id: name,
    performance_multiplier: "1",
    autopilot_update_interval: "1s",
    autopilot_reconcile_interval: "1s",
  };
  const settings = {
    storage: { raft },
    listener: { tcp: { address: new URL(url).host, tls_disable: true } },
    api_addr: url,
    cluster_addr: `https://${cluster}`,
  };
  await Deno.writeTextFile(config, JSON.stringify(settings));
  return await startServerProcess({
    command: [`${await serverFolder("openbao")}/bin/bao`, "server", `-config=${config}`],
    readyOn: "stdout",
    ready: /(server started)/,
  });
}

/** Makes one cluster of the nodes, of which the first is active. Gives the root token. */
async function join([first, ...others]: string[]): Promise<string> {
  const shares = { secret_shares: 1, secret_threshold: 1 };
  const { body } = await requestVault(first!, "PUT", "sys/init", shares, {});
  const { root_token: token, keys: [key] } = body;
  const unseal = (url: string) => requestVault(url, "PUT", "sys/unseal", { key }, {});
  const ask = (path: string) => requestVault(first!, "GET", path, undefined, { token });
  const set = (path: string, settings: object) =>
    requestVault(first!, "POST", path, settings, { token });
  await unseal(first!);
  await untilSo(async () => (await ask("sys/health")).status === 200);
  await set("sys/storage/raft/autopilot/configuration", { server_stabilization_time: "1s" });
  for (const url of others) {
    await requestVault(url, "PUT", "sys/storage/raft/join", { leader_api_addr: first }, {});
    await unseal(url);
  }
  // A new node has no vote before it has kept up for some seconds.
  await untilSo(async () => {
    const { status, body } = await ask("sys/storage/raft/configuration");
    const servers: { voter: boolean }[] = status === 200 ? body.data.config.servers : [];
    return servers.filter(({ voter }) => voter).length === NODES;
  });
  await set("sys/mounts/secret", { type: "kv", options: { version: "2" } });
  // KV 2 answers 400 for a moment after its mount.
  await untilSo(async () => (await ask("secret/config")).status === 200);
  return token;
}
