import {
  FileCredentialsBackend,
  KvCredentialsBackend,
  MemoryCredentialsBackend,
} from "@validmind/auth";
import { hasServer } from "../../../support/servers/servers.ts";
import { startVault } from "../../../support/servers/vault_server.ts";
import { startBenchKeyring } from "../bench_keyring.ts";
import type { BenchOptions, BenchRow, BenchSection } from "../bench_section.ts";
import { benchEntry, KEY } from "../bench_world.ts";
import { compareBackend } from "../compare_backend.ts";
import {
  rawDenoKv,
  rawEncryption,
  rawFile,
  rawMap,
  type RawStore,
  rawVault,
} from "../raw_stores.ts";

const BARS = { get: 1.2, put: 1.2 };

/** Each backend beside its bare store, with one entry of 3 KB. */
export async function backendCalls({ folder, effort }: BenchOptions): Promise<BenchSection> {
  const file = new FileCredentialsBackend({ path: `${folder}/own.json` });
  const kv = new KvCredentialsBackend({ path: `${folder}/own-calls.db` });
  const rawKv = await Deno.openKv(`${folder}/raw-calls.db`);
  const raw = rawFile(`${folder}/raw.json`);
  const rows: BenchRow[] = [
    ...await compareBackend(raw, file, effort, { ...BARS, get: 1.5 }),
    ...await compareBackend(rawDenoKv(rawKv), kv, effort, BARS),
    ...await compareBackend(rawMap(), new MemoryCredentialsBackend(), effort, {}),
    ...await wrapperRows(folder, effort),
  ];
  rawKv.close();
  await kv.close();
  rows.push(...await keychainRows(effort), ...await vaultRows(effort));
  return { title: "A call of a backend", unit: "µs", base: "its bare store", rows };
}

/** The backends that put something before another one, beside that one. */
async function wrapperRows(folder: string, effort: number): Promise<BenchRow[]> {
  const { EncryptedCredentialsBackend } = await import("@validmind/auth/backends/encrypted");
  const { FallbackCredentialsBackend } = await import("@validmind/auth/backends/fallback");
  const file = (name: string) => new FileCredentialsBackend({ path: `${folder}/${name}.json` });
  const secret = crypto.getRandomValues(new Uint8Array(32));
  Deno.env.set("BENCH_KEY", secret.toBase64());
  const sealed = new EncryptedCredentialsBackend({
    backend: file("sealed"),
    key: { env: "BENCH_KEY" },
  });
  const [first, second] = [file("inner"), new MemoryCredentialsBackend()];
  const stores: RawStore = {
    name: "a file and memory, each looked at",
    get: () => [first.get(KEY), second.get(KEY)],
    put: () => first.put(KEY, benchEntry()),
    delete: () => Promise.all([first.delete(KEY), second.delete(KEY)]),
  };
  const fallback = new FallbackCredentialsBackend({
    backends: [file("first"), new MemoryCredentialsBackend()],
    onFallback: () => {},
  });
  return [
    ...await compareBackend(await rawEncryption(secret, file("raw-sealed")), sealed, effort, BARS),
    ...await compareBackend(stores, fallback, effort, BARS),
  ];
}

/** In this process's environment, which the keychain's library reads. */
async function keychainRows(effort: number): Promise<BenchRow[]> {
  await using keyring = await startBenchKeyring();
  if (keyring === undefined) return [];
  Deno.env.set("DBUS_SESSION_BUS_ADDRESS", keyring.env.DBUS_SESSION_BUS_ADDRESS!);
  const { AsyncEntry } = await import("@napi-rs/keyring");
  const raw = new AsyncEntry("bench", "token");
  const text = JSON.stringify(benchEntry());
  const store: RawStore = {
    name: "the keychain's library",
    get: async () => JSON.parse((await raw.getPassword())!),
    put: () => raw.setPassword(text),
    delete: () => raw.deletePassword(),
  };
  const { KeychainCredentialsBackend } = await import("@validmind/auth/backends/keychain");
  const backend = new KeychainCredentialsBackend({ lockFolder: "/tmp" });
  return await compareBackend(store, backend, effort, BARS);
}

/** Where `deno task servers` has built Vault. */
async function vaultRows(effort: number): Promise<BenchRow[]> {
  if (!await hasServer("vault")) return [];
  await using vault = await startVault();
  const { VaultCredentialsBackend } = await import("@validmind/auth/backends/vault");
  const backend = new VaultCredentialsBackend({
    address: vault.url,
    path: "bench",
    auth: { method: "token", token: vault.rootToken },
  });
  const rows = await compareBackend(rawVault(vault), backend, effort / 2, BARS);
  await backend.close();
  return rows;
}
