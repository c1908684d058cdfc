import { makeLocalCa } from "../local_ca.ts";
import { tempDir } from "../temp_home.ts";
import { freePort } from "./free_port.ts";
import { serverBinary } from "./servers.ts";
import { startServerProcess } from "./server_process.ts";

/** An answer of Vault; redirects are not followed. */
export interface VaultAnswer {
  status: number;
  // deno-lint-ignore no-explicit-any -- tests pick from it what they look at
  body: any;
}

/** Calls the API of one node: `path` follows `/v1/`. A client is for a certificate authority of its own. */
export async function requestVault(
  url: string,
  method: string,
  path: string,
  body: unknown,
  { token, client }: { token?: string; client?: Deno.HttpClient | undefined },
): Promise<VaultAnswer> {
  const response = await fetch(`${url}/v1/${path}`, {
    method,
    headers: token ? { "X-Vault-Token": token } : {},
    body: body === undefined ? undefined : JSON.stringify(body),
    redirect: "manual",
    client,
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json") && text !== "";
  return { status: response.status, body: isJson ? JSON.parse(text) : undefined };
}

/** Options of {@linkcode startVault}. */
export interface VaultOptions {
  /** Folder that keeps everything; it has to be empty. @default {a temporary folder} */
  storage?: string;
  /** Serve over TLS, by a certificate authority of its own. @default {false} */
  tls?: boolean;
}

const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 20;

/** A real Vault: initialised, unsealed, with KV 2 at `secret/`. */
export type VaultServer = Awaited<ReturnType<typeof startVault>>;

/** Starts HashiCorp Vault and makes it ready for use. */
export async function startVault(options: VaultOptions = {}) {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await tempDir());
  const caFile = `${path}/ca.pem`;
  const tls = options.tls ? await writeCertificate(path, caFile) : [];
  const address = `127.0.0.1:${freePort()}`;
  const url = `${options.tls ? "https" : "http"}://${address}`;
  const client = options.tls
    ? stack.use(Deno.createHttpClient({ caCerts: [await Deno.readTextFile(caFile)] }))
    : undefined;
  const storage = options.storage ?? `${path}/storage`;
  const binary = await serverBinary("vault");
  const start = () =>
    startServerProcess({
      command: [binary, `-storage=${storage}`, `-listen=${address}`, ...tls],
      readyOn: "stdout",
      ready: /^(.+)$/,
    });
  let server = await start();
  stack.defer(() => server.end("KILL"));
  let rootToken = "";
  /** Calls the API as root: `path` is what follows `/v1/`. */
  const request = (method: string, path: string, body?: unknown) =>
    requestVault(url, method, path, body, { token: rootToken, client });
  const isReady = (path: string) => async () => (await request("GET", path)).status === 200;
  const shares = { secret_shares: 1, secret_threshold: 1 };
  const { body: made } = await request("PUT", "sys/init", shares);
  const unseal = async () => {
    await request("PUT", "sys/unseal", { key: made.keys[0] });
    await untilSo(isReady("sys/health"));
  };
  await unseal();
  rootToken = made.root_token;
  await request("POST", "sys/mounts/secret", { type: "kv", options: { version: "2" } });
  // KV 2 answers 400 for a moment after its mount, and after an unseal.
  await untilSo(isReady("secret/config"));
  const started = stack.move();
  return {
    url,
    rootToken,
    /** The certificate authority's PEM file, with `tls`. */
    caFile,
    request,
    /** Ends it by SIGKILL. */
    kill: () => server.end("KILL"),
    /** Starts it again with the same address and data, unsealed; ends it first if it runs. */
    async restart() {
      await server.end("TERM");
      server = await start();
      await unseal();
      await untilSo(isReady("secret/config"));
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

/** Writes the PEM files of an authority and of a certificate by it, and gives the flags for them. */
async function writeCertificate(folder: string, caFile: string): Promise<string[]> {
  const authority = await makeLocalCa();
  const { cert, key } = await authority.issue(["localhost", "127.0.0.1"]);
  await Deno.writeTextFile(caFile, authority.cert);
  await Deno.writeTextFile(`${folder}/cert.pem`, cert);
  await Deno.writeTextFile(`${folder}/key.pem`, key);
  return [`-cert=${folder}/cert.pem`, `-key=${folder}/key.pem`];
}

/** Waits until something is so at a server that is becoming ready. */
export async function untilSo(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (!await isSo()) {
    if (performance.now() > deadline) {
      throw new Error("Cannot use the server: it does not become ready");
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
