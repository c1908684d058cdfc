import { type TempDir, tempDir } from "../temp_home.ts";
import { freePort } from "./free_port.ts";
import { serverBinary } from "./servers.ts";
import { type ServerProcess, startServerProcess } from "./server_process.ts";
import { requestVault, type VaultAnswer, type VaultRequestInit } from "./vault_request.ts";

/** A Vault of several nodes with integrated storage, with KV 2 at `secret/`. */
export interface VaultCluster extends AsyncDisposable {
  /** The address of each node. */
  readonly urls: readonly string[];
  readonly rootToken: string;
  /** Calls the API of one node: `path` follows `/v1/`. */
  request(node: number, method: string, path: string, body?: unknown): Promise<VaultAnswer>;
  /** The node that is active, once all nodes that run agree on one. */
  leader(): Promise<number>;
  /** The nodes that run, the first of them by chance. */
  running(): number[];
  /** Ends a node by SIGKILL. */
  kill(node: number): Promise<void>;
  /** Starts a node again, unsealed, and waits until it is in the cluster. */
  restart(node: number): Promise<void>;
}

const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 50;

/** Options of {@linkcode startVaultCluster}. */
export interface VaultClusterOptions {
  /** How many nodes. @default {3} */
  nodes?: number;
  /** Keeps the storage of each node in a folder with its number. @default {a temporary folder} */
  folder?: string;
}

/** Starts a cluster of HashiCorp Vault and makes it ready for use. */
export async function startVaultCluster(options: VaultClusterOptions = {}): Promise<VaultCluster> {
  const { nodes = 3, folder } = options;
  const temporary = folder === undefined ? await tempDir() : undefined;
  const binary = await serverBinary("vault");
  const cluster = new Cluster(folder ?? temporary!.path, temporary, binary, nodes);
  try {
    await cluster.initialize();
    return cluster;
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

class Cluster implements VaultCluster {
  readonly urls: readonly string[];
  rootToken = "";
  #unsealKey = "";
  readonly #folder: string;
  readonly #temporary: TempDir | undefined;
  readonly #binary: string;
  readonly #addresses: readonly string[];
  readonly #processes: (ServerProcess | undefined)[];

  constructor(folder: string, temporary: TempDir | undefined, binary: string, nodes: number) {
    this.#folder = folder;
    this.#temporary = temporary;
    this.#binary = binary;
    const address = () => `127.0.0.1:${freePort()}`;
    this.urls = Array.from({ length: nodes }, () => `http://${address()}`);
    this.#addresses = Array.from({ length: nodes }, address);
    this.#processes = Array.from({ length: nodes }, () => undefined);
  }

  async initialize(): Promise<void> {
    await Promise.all(this.urls.map((_, node) => this.#start(node)));
    const shares = { secret_shares: 1, secret_threshold: 1 };
    const { body } = await this.#request(0, "PUT", "sys/init", shares);
    this.rootToken = body.root_token;
    this.#unsealKey = body.keys[0];
    await this.#unseal(0);
    await this.#until(() => this.#hasStatus(0, "sys/health", 200));
    const stable = { server_stabilization_time: "1s" };
    await this.request(0, "POST", "sys/storage/raft/autopilot/configuration", stable);
    await Promise.all(this.urls.keys().drop(1).map((node) => this.#join(node)));
    const kv = { type: "kv", options: { version: "2" } };
    await this.request(0, "POST", "sys/mounts/secret", kv);
    // KV 2 answers 400 for a moment after its mount.
    await this.#until(() => this.#hasStatus(0, "secret/config", 200));
  }

  request(node: number, method: string, path: string, body?: unknown): Promise<VaultAnswer> {
    return this.#request(node, method, path, body, { token: this.rootToken });
  }

  async leader(): Promise<number> {
    let leader = -1;
    await this.#until(async () => {
      const answers = await Promise.all(this.running().map((node) => this.#leaderBy(node)));
      leader = this.urls.indexOf(answers[0] ?? "");
      return this.#processes[leader] !== undefined &&
        answers.every((answer) => answer === answers[0]);
    });
    return leader;
  }

  running(): number[] {
    const nodes = this.urls.keys().filter((node) => this.#processes[node] !== undefined);
    return nodes.toArray().sort(() => Math.random() - 0.5);
  }

  async kill(node: number): Promise<void> {
    await this.#processes[node]?.end("KILL");
    this.#processes[node] = undefined;
  }

  async restart(node: number): Promise<void> {
    await this.#start(node);
    await this.#unseal(node);
    await this.#until(async () => [200, 429].includes(await this.#status(node, "sys/health")));
    await this.#until(() => this.#isVoter(node));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.urls.map((_, node) => this.kill(node)));
    await this.#temporary?.[Symbol.asyncDispose]();
  }

  async #start(node: number): Promise<void> {
    const storage = `${this.#folder}/${node}`;
    await Deno.mkdir(storage, { recursive: true });
    const listen = new URL(this.urls[node]!).host;
    this.#processes[node] = await startServerProcess({
      command: [
        this.#binary,
        `-listen=${listen}`,
        `-storage=${storage}`,
        `-raft=node${node}`,
        `-cluster=${this.#addresses[node]}`,
      ],
      readyOn: "stdout",
      ready: /^(.+)$/,
    });
  }

  async #join(node: number): Promise<void> {
    const leader_api_addr = this.urls[0];
    await this.#request(node, "PUT", "sys/storage/raft/join", { leader_api_addr });
    await this.#unseal(node);
    await this.#until(() => this.#isVoter(node));
  }

  async #unseal(node: number): Promise<void> {
    await this.#request(node, "PUT", "sys/unseal", { key: this.#unsealKey });
  }

  /** A new node has no vote before it has kept up for some seconds: a leader needs three of them. */
  async #isVoter(node: number): Promise<boolean> {
    for (const asked of this.running()) {
      const { status, body } = await this.#ask(asked, "sys/storage/raft/configuration");
      if (status !== 200) continue;
      const servers: { node_id: string; voter: boolean }[] = body.data.config.servers;
      return servers.some(({ node_id, voter }) => node_id === `node${node}` && voter);
    }
    return false;
  }

  async #leaderBy(node: number): Promise<string | undefined> {
    return (await this.#ask(node, "sys/leader")).body?.leader_address;
  }

  async #hasStatus(node: number, path: string, status: number): Promise<boolean> {
    return await this.#status(node, path) === status;
  }

  async #status(node: number, path: string): Promise<number> {
    return (await this.#ask(node, path)).status;
  }

  /** The answer of a node, which may not be there. */
  async #ask(node: number, path: string): Promise<Pick<VaultAnswer, "status" | "body">> {
    try {
      return await this.request(node, "GET", path);
    } catch {
      return { status: 0, body: undefined };
    }
  }

  #request(node: number, method: string, path: string, body: unknown, init: VaultRequestInit = {}) {
    return requestVault(this.urls[node]!, method, path, body, init);
  }

  async #until(isSo: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + READY_TIMEOUT_MS;
    while (!await isSo()) {
      if (performance.now() > deadline) throw new Error("Cannot use the cluster: it is not ready");
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}
