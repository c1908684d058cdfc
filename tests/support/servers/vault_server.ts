import { makeLocalCa } from "../local_ca.ts";
import { tempDir } from "../temp_home.ts";
import { freePort } from "./free_port.ts";
import { serverBinary } from "./servers.ts";
import { type ServerProcess, startServerProcess } from "./server_process.ts";

/** Options of {@linkcode requestVault}. */
export interface VaultRequestInit {
  /** `null` sends none. */
  token?: string | null;
  /** For a certificate authority of its own. */
  client?: Deno.HttpClient;
}

/** An answer of Vault; redirects are not followed. */
export interface VaultAnswer {
  status: number;
  // deno-lint-ignore no-explicit-any -- tests pick from it what they look at
  body: any;
}

/** Calls the API of one node: `path` follows `/v1/`. */
export async function requestVault(
  url: string,
  method: string,
  path: string,
  body: unknown,
  { token = null, client }: VaultRequestInit,
): Promise<VaultAnswer> {
  const headers = new Headers();
  if (token !== null) headers.set("X-Vault-Token", token);
  const response = await fetch(`${url}/v1/${path}`, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    redirect: "manual",
    client,
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json") && text !== "";
  return {
    status: response.status,
    body: isJson ? JSON.parse(text) : undefined,
  };
}

/** Options of {@linkcode startVault}. */
export interface VaultOptions {
  /** Folder that keeps everything; it has to be empty. @default {a temporary folder} */
  storage?: string;
  /** Serve over TLS, by a certificate authority of its own. @default {false} */
  tls?: boolean;
}

/** Options of {@linkcode VaultServer.request}. */
export interface VaultRequestOptions {
  /** `null` sends none. @default {the root token} */
  token?: string | null;
}

const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 20;

/** Starts HashiCorp Vault and makes it ready for use. */
export async function startVault(options: VaultOptions = {}): Promise<VaultServer> {
  const temporary = await tempDir();
  try {
    const certificate = options.tls ? await writeCertificate(temporary.path) : undefined;
    const storage = options.storage ?? `${temporary.path}/storage`;
    const server = new VaultServer(storage, certificate, temporary);
    await server.start();
    await server.initialize();
    return server;
  } catch (error) {
    await temporary[Symbol.asyncDispose]();
    throw error;
  }
}

/** The PEM files of an authority, and of a certificate by it for this machine. */
async function writeCertificate(folder: string): Promise<Record<"ca" | "cert" | "key", string>> {
  const files = { ca: `${folder}/ca.pem`, cert: `${folder}/cert.pem`, key: `${folder}/key.pem` };
  const authority = await makeLocalCa();
  const issued = await authority.issue(["localhost", "127.0.0.1"]);
  await Deno.writeTextFile(files.ca, authority.cert);
  await Deno.writeTextFile(files.cert, issued.cert);
  await Deno.writeTextFile(files.key, issued.key);
  return files;
}

/** A real Vault: initialised, unsealed, with KV 2 at `secret/`. */
export class VaultServer implements AsyncDisposable {
  readonly url: string;
  /** The certificate authority's PEM file, with `tls`. */
  readonly caFile: string | undefined;
  rootToken = "";
  unsealKey = "";
  #flags: string[];
  #process!: ServerProcess;
  #client: Deno.HttpClient | undefined;
  #temporary: AsyncDisposable;

  constructor(
    storage: string,
    certificate: Record<"ca" | "cert" | "key", string> | undefined,
    temporary: AsyncDisposable,
  ) {
    const port = freePort();
    const scheme = certificate === undefined ? "http" : "https";
    this.url = `${scheme}://127.0.0.1:${port}`;
    this.caFile = certificate?.ca;
    this.#flags = [`-storage=${storage}`, `-listen=127.0.0.1:${port}`];
    if (certificate) this.#flags.push(`-cert=${certificate.cert}`, `-key=${certificate.key}`);
    this.#temporary = temporary;
  }

  async start(): Promise<void> {
    if (this.caFile !== undefined) {
      this.#client ??= Deno.createHttpClient({ caCerts: [await Deno.readTextFile(this.caFile)] });
    }
    this.#process = await startServerProcess({
      command: [await serverBinary("vault"), ...this.#flags],
      readyOn: "stdout",
      ready: /^(.+)$/,
    });
  }

  async initialize(): Promise<void> {
    const { body } = await this.request("PUT", "sys/init", {
      secret_shares: 1,
      secret_threshold: 1,
    }, { token: null });
    this.rootToken = body.root_token;
    this.unsealKey = body.keys[0];
    await this.#unseal();
    await this.request("POST", "sys/mounts/secret", { type: "kv", options: { version: "2" } });
    await this.#untilReady();
  }

  /** Calls the API: `path` is what follows `/v1/`. */
  async request(
    method: string,
    path: string,
    body?: unknown,
    { token = this.rootToken }: VaultRequestOptions = {},
  ): Promise<VaultAnswer> {
    return await requestVault(this.url, method, path, body, { token, client: this.#client });
  }

  /** Ends it by SIGKILL. */
  async kill(): Promise<void> {
    await this.#process.end("KILL");
  }

  /** Starts it again with the same address and data, unsealed; ends it first if it runs. */
  async restart(): Promise<void> {
    await this.#process.end("TERM");
    await this.start();
    await this.#unseal();
    await this.#untilReady();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    this.#client?.close();
    await this.#temporary[Symbol.asyncDispose]();
  }

  async #unseal(): Promise<void> {
    await this.request("PUT", "sys/unseal", { key: this.unsealKey }, { token: null });
    await untilSo(() => this.#answers("sys/health"));
  }

  async #untilReady(): Promise<void> {
    // KV 2 answers 400 for a moment after its mount, and after an unseal.
    await untilSo(() => this.#answers("secret/config"));
  }

  async #answers(path: string): Promise<boolean> {
    return (await this.request("GET", path)).status === 200;
  }
}

/** Waits until something is so at a Vault that is becoming ready. */
export async function untilSo(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (!await isSo()) {
    if (performance.now() > deadline) {
      throw new Error("Cannot use Vault: it does not become ready");
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
