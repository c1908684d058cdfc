import {
  FileCredentialsBackend,
  KvCredentialsBackend,
  MemoryCredentialsBackend,
  type OidcCredentialsBackend,
} from "@validmind/auth";
import { startBenchKeyring } from "../bench_keyring.ts";
import { type BenchOptions, type BenchRow, type BenchSection, toRows } from "../bench_section.ts";
import { benchEntry, KEY } from "../bench_world.ts";
import { measureCalls, type TimedCall } from "../measure_calls.ts";

/** A store as it is without this module. */
interface RawStore {
  name: string;
  get: () => unknown;
  put: () => unknown;
  delete: () => unknown;
}

/** Each backend beside its bare store, with one entry of 3 KB. */
export async function backendCalls({ folder, effort }: BenchOptions): Promise<BenchSection> {
  const file = new FileCredentialsBackend({ path: `${folder}/own.json` });
  const kv = new KvCredentialsBackend({ path: `${folder}/own-calls.db` });
  const rawKv = await Deno.openKv(`${folder}/raw-calls.db`);
  const rows: BenchRow[] = [
    ...await compare(rawFile(`${folder}/raw.json`), file, effort, { get: 1.5, put: 1.2 }),
    ...await compare(rawDenoKv(rawKv), kv, effort, { get: 1.2, put: 1.2 }),
    ...await compare(rawMap(), new MemoryCredentialsBackend(), effort, {}),
  ];
  rawKv.close();
  await kv.close();
  rows.push(...await keychainRows(effort));
  return { title: "A call of a backend", unit: "µs", base: "its bare store", rows };
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
  const backend = new KeychainCredentialsBackend({ lockFolder: false });
  return await compare(store, backend, effort, { get: 1.2, put: 1.2 });
}

async function compare(
  raw: RawStore,
  backend: OidcCredentialsBackend,
  effort: number,
  bars: { get?: number; put?: number },
): Promise<BenchRow[]> {
  const entry = benchEntry();
  const own: Omit<RawStore, "name"> = {
    get: () => backend.get(KEY),
    put: () => backend.put(KEY, entry),
    delete: () => backend.delete(KEY),
  };
  const rows: BenchRow[] = [];
  for (const verb of ["put", "get", "delete"] as const) {
    const [base, name] = [`${raw.name}, ${verb}`, `${backend.constructor.name}, ${verb}`];
    const calls: TimedCall[] = [{ name: base, run: raw[verb] }, { name, run: own[verb] }];
    if (verb === "delete") {
      // Of something that is there: what puts it back counts on both sides.
      calls[0]!.run = async () => (await raw.put(), await raw.delete());
      calls[1]!.run = async () => (await own.put(), await own.delete());
    }
    const measured = await measureCalls(calls, timing(raw, effort));
    const bar = verb === "delete" ? undefined : bars[verb];
    rows.push(...toRows(measured, base, bar === undefined ? {} : { [name]: bar }));
    await raw.put();
    await own.put();
  }
  return rows;
}

/**
 * One call by turns, where a call is long enough to be timed alone: a disk is slow for some hundred
 * calls and fast for the next, and a batch of the one and a batch of the other would tell of that.
 */
function timing(raw: RawStore, effort: number): { batches: number; perBatch: number } {
  const isShort = raw.name.startsWith("Map");
  return { batches: Math.ceil((isShort ? 40 : 1000) * effort), perBatch: isShort ? 5000 : 1 };
}

/** Read and parse; and a write that survives a power cut: temp file, fsync, rename, fsync. */
function rawFile(path: string): RawStore {
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

function rawDenoKv(kv: Deno.Kv): RawStore {
  const entry = benchEntry();
  return {
    name: "Deno.Kv",
    get: async () => (await kv.get([KEY])).value,
    put: () => kv.set([KEY], entry),
    delete: () => kv.delete([KEY]),
  };
}

/** With the copies that keep a caller from changing what is stored. */
function rawMap(): RawStore {
  const map = new Map<string, unknown>();
  const entry = benchEntry();
  return {
    name: "Map with structuredClone",
    get: () => structuredClone(map.get(KEY)),
    put: () => map.set(KEY, structuredClone(entry)),
    delete: () => map.delete(KEY),
  };
}
