import { freePort } from "../../support/servers/free_port.ts";
import { type ServerProcess, startServerProcess } from "../../support/servers/server_process.ts";
import { serverBinary } from "../../support/servers/servers.ts";
import { requestVault, untilSo } from "../../support/servers/vault_server.ts";

const NODES = 3;

/** Starts a Vault of three nodes with integrated storage, with KV 2 at `secret/`; `url` is the active one's. */
export async function startVaultCluster(folder: string) {
  const urls = Array.from({ length: NODES }, () => `http://127.0.0.1:${freePort()}`);
  const processes: ServerProcess[] = [];
  const dispose = async () => void await Promise.all(processes.map((one) => one.end("KILL")));
  try {
    for (const [node, url] of urls.entries()) {
      processes.push(await startNode(node, url, `${folder}/${node}`));
    }
    return { url: urls[0]!, rootToken: await join(urls), [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function startNode(node: number, url: string, storage: string): Promise<ServerProcess> {
  await Deno.mkdir(storage, { recursive: true });
  return await startServerProcess({
    command: [
      await serverBinary("vault"),
      `-listen=${new URL(url).host}`,
      `-storage=${storage}`,
      `-raft=node${node}`,
      `-cluster=127.0.0.1:${freePort()}`,
    ],
    readyOn: "stdout",
    ready: /^(.+)$/,
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
