/**
 * Measures the bytes of disk that the entry of one person takes in each store, after the sign-in and
 * after some refreshes: `deno run -A --unstable-kv tests/bench/storage_per_person.ts [people] [refreshes]
 * [store]`.
 * Of a cluster it is one node; each has all of it.
 */
// deno-lint-ignore-file no-console
import { FileCredentialsBackend, KvCredentialsBackend } from "../../mod.ts";
import { VaultCredentialsBackend } from "../../backends/vault.ts";
import { tempDir } from "../support/temp_home.ts";
import { CROWD_STORES } from "../torture/crowd_store.ts";

type Backend = FileCredentialsBackend | KvCredentialsBackend | VaultCredentialsBackend;

/** A store for the measurement. */
interface MeasuredStore extends AsyncDisposable {
  /** The folder whose files count. */
  readonly folder: string;
  open(person: number): Backend | Promise<Backend>;
}

/** What oidc-provider and Keycloak give is of this size. */
const TOKEN_BYTES = { access_token: 1100, id_token: 900, refresh_token: 700 };
const KEY = "https://login.example.com|validmind";
const BLOCK_BYTES = 512;

const [people, refreshes] = [Number(Deno.args[0] ?? 200), Number(Deno.args[1] ?? 10)];
const only = Deno.args[2];

const STORES: Record<string, (folder: string) => MeasuredStore | Promise<MeasuredStore>> = {
  "file": (folder) => ({
    folder,
    open: (person) => new FileCredentialsBackend({ path: `${folder}/${person}/credentials.json` }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }),
  "Deno KV file": (folder) => ({
    folder,
    open: (person) => new KvCredentialsBackend({ path: `${folder}/${person}/credentials.kv` }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }),
  "denokv": (folder) => startServerStore("denokv", folder, folder),
  "Vault (KV 2)": (folder) => startServerStore("vault", folder, `${folder}/0`),
  "Vault (KV 1)": (folder) => startServerStore("vault-kv1", folder, `${folder}/0`),
};

console.log(`${people} people, entries of ${JSON.stringify(makeEntry()).length} bytes`);
console.log(
  `| store | after the sign-in | after ${refreshes} refreshes | files |\n|---|---|---|---|`,
);
for (const [name, start] of Object.entries(STORES)) {
  if (only !== undefined && only !== name) continue;
  await using folder = await tempDir();
  await using store = await start(folder.path);
  const before = filesOf(store.folder);
  await writeAll(store);
  const signedIn = filesOf(store.folder);
  for (let n = 0; n < refreshes; n++) await writeAll(store);
  const refreshed = filesOf(store.folder);
  const files = [...refreshed].map(([file, bytes]) =>
    `${file} ${perPerson(bytes - (before.get(file) ?? 0))}`
  );
  const grown = (files: Map<string, number>) => perPerson(sumOf(files) - sumOf(before));
  console.log(`| ${name} | ${grown(signedIn)} | ${grown(refreshed)} | ${files.join(", ")} |`);
}
Deno.exit(); // Deno KV keeps connections to its server

async function startServerStore(
  name: string,
  folder: string,
  measured: string,
): Promise<MeasuredStore> {
  const store = await CROWD_STORES[name]!(folder);
  const admitted = await Array.fromAsync(Array(people).keys(), (person) => store.admit(person));
  return {
    folder: measured,
    open(person) {
      const { vault, kv } = admitted[person]!;
      return vault ? new VaultCredentialsBackend(vault) : new KvCredentialsBackend(kv);
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

/** Writes the entry of each person as a refresh does. */
async function writeAll(store: MeasuredStore): Promise<void> {
  for (let person = 0; person < people; person++) {
    const backend = await store.open(person);
    const key = `${KEY}|${person}`;
    await backend.withLock(key, async () => {
      await backend.get(key);
      await backend.put(key, makeEntry());
    });
    await (backend as { close?(): Promise<void> }).close?.();
  }
}

function makeEntry() {
  const token = (bytes: number) =>
    crypto.getRandomValues(new Uint8Array(bytes * 3 / 4)).toBase64({ alphabet: "base64url" });
  return {
    issuer: "https://login.example.com",
    client_id: "validmind",
    access_token: token(TOKEN_BYTES.access_token),
    id_token: token(TOKEN_BYTES.id_token),
    refresh_token: token(TOKEN_BYTES.refresh_token),
    expires_at: new Date(Date.now() + 3_600_000).toISOString(),
    scope: "openid profile email offline_access",
  };
}

/** The bytes on disk of all files in a folder, by the names that they have without a hash. */
function filesOf(folder: string): Map<string, number> {
  const files = new Map<string, number>();
  for (const entry of Deno.readDirSync(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) {
      for (const [name, bytes] of filesOf(path)) files.set(name, (files.get(name) ?? 0) + bytes);
    } else {
      const bytes = BLOCK_BYTES * (Deno.statSync(path).blocks ?? 0);
      const name = entry.name.replace(/\.[0-9a-f]{8}\./, ".HASH.");
      files.set(name, (files.get(name) ?? 0) + bytes);
    }
  }
  return files;
}

function sumOf(files: Map<string, number>): number {
  return files.values().reduce((sum, bytes) => sum + bytes, 0);
}

function perPerson(bytes: number): string {
  return `${(bytes / people / 1024).toFixed(1)} KiB`;
}
