import type { OidcCredentialsBackend } from "@validmind/auth";
import type { VaultServer } from "../../support/servers/vault_server.ts";
import { benchEntry, CLIENT_ID, ISSUER, KEY } from "./bench_world.ts";

/** A store as it is without this module. */
export interface RawStore {
  name: string;
  get: () => unknown;
  put: () => unknown;
  delete: () => unknown;
}

/** Read and parse; and a write that survives a power cut: temp file, fsync, rename, fsync. */
export function rawFile(path: string): RawStore {
  const folder = path.slice(0, path.lastIndexOf("/"));
  const write = (credentials: unknown) => {
    const text = JSON.stringify({ version: 1, credentials }, null, 2);
    const file = Deno.openSync(`${path}.tmp`, {
      write: true,
      create: true,
      truncate: true,
      mode: 0o600,
    });
    file.writeSync(new TextEncoder().encode(text));
    file.syncSync();
    file.close();
    Deno.renameSync(`${path}.tmp`, path);
    using directory = Deno.openSync(folder);
    directory.syncSync();
  };
  return {
    name: "a file",
    get: () => JSON.parse(Deno.readTextFileSync(path)).credentials[KEY],
    put: () => write({ [KEY]: benchEntry() }),
    delete: () => write({}),
  };
}

/** One value, without a check of its size and without parts. */
export function rawDenoKv(kv: Deno.Kv): RawStore {
  const entry = benchEntry();
  return {
    name: "Deno.Kv",
    get: async () => (await kv.get([KEY])).value,
    put: () => kv.set([KEY], entry),
    delete: () => kv.delete([KEY]),
  };
}

/** With the copies that keep a caller from changing what is stored. */
export function rawMap(): RawStore {
  const map = new Map<string, unknown>();
  const entry = benchEntry();
  return {
    name: "Map with structuredClone",
    get: () => structuredClone(map.get(KEY)),
    put: () => map.set(KEY, structuredClone(entry)),
    delete: () => map.delete(KEY),
  };
}

/** AES-256-GCM by Web Crypto, over a backend. */
export async function rawEncryption(
  secret: Uint8Array<ArrayBuffer>,
  inner: OidcCredentialsBackend,
): Promise<RawStore> {
  const name = "AES-GCM";
  const key = await crypto.subtle.importKey("raw", secret, name, false, ["encrypt", "decrypt"]);
  const row = { issuer: ISSUER, client_id: CLIENT_ID, access_token: "" };
  const encode = (text: string) => new TextEncoder().encode(text);
  return {
    name: `${name} over a file`,
    get: async () => {
      const { iv, sealed } = await inner.get(KEY) as Record<string, string>;
      const algorithm = { name, iv: Uint8Array.fromBase64(iv!) };
      const plain = await crypto.subtle.decrypt(algorithm, key, Uint8Array.fromBase64(sealed!));
      return JSON.parse(new TextDecoder().decode(plain));
    },
    put: async () => {
      const iv = crypto.getRandomValues(new Uint8Array(12));
      const text = encode(JSON.stringify(benchEntry()));
      const sealed = new Uint8Array(await crypto.subtle.encrypt({ name, iv }, key, text));
      await inner.put(KEY, { ...row, iv: iv.toBase64(), sealed: sealed.toBase64() });
    },
    delete: () => inner.delete(KEY),
  };
}

/** A secret of version 2 by Vault's API, with a path and a content such as the backend gives it. */
export function rawVault({ url, rootToken }: VaultServer): RawStore {
  const headers = { "x-vault-token": rootToken };
  const at = (part: string) => `${url}/v1/secret/${part}/raw/${"0".repeat(64)}`;
  const send = async (part: string, init: RequestInit) => {
    const response = await fetch(at(part), { headers, ...init });
    const text = await response.text();
    if (!response.ok) throw new Error(`Cannot use Vault: status ${response.status}`);
    return text;
  };
  const body = () => JSON.stringify({ data: { key: KEY, entry: JSON.stringify(benchEntry()) } });
  return {
    name: "Vault's API",
    get: async () => JSON.parse(JSON.parse(await send("data", {})).data.data.entry),
    put: () => send("data", { method: "POST", body: body() }),
    delete: () => send("metadata", { method: "DELETE" }),
  };
}
