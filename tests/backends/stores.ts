import { EncryptedCredentialsBackend } from "../../backends/encrypted.ts";
import { FallbackCredentialsBackend } from "../../backends/fallback.ts";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { KvCredentialsBackend } from "../../backends/kv.ts";
import { KeychainCredentialsBackend } from "../../backends/keychain.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import { VaultCredentialsBackend } from "../../backends/vault.ts";
import { entry, KEY } from "../support/entries.ts";
import type { Sandbox } from "../support/sandbox.ts";
import { testKey } from "./encrypted/encryption_keys.ts";
import { keychainBackend, windowsKeychain } from "./keychain/memory_keychain.ts";
import { ScriptedLibrary } from "./keychain/scripted_library.ts";
import { ScriptedVault } from "./vault/scripted_vault.ts";

/** One store, for tests that every store has to pass. */
export interface Store {
  /** Two handles of a persistent store lead to one store. */
  open(): OidcCredentialsBackend;
  /** The store of another person. */
  another?(): OidcCredentialsBackend;
  /** A handle on a store that cannot be read. */
  broken?(): OidcCredentialsBackend;
  permissions?: Deno.TestDefinition["permissions"];
  /** How other processes get to the store. */
  processes?: { module: string; exportName: string; options: { path: string } };
  /** Whether the store compares before it writes, as `isReplaced` wants. */
  compares?: boolean;
  /** Whether its lock proves that it can be written. */
  proves?: boolean;
  /** @default {Infinity} */
  longestKey?: number;
}

const key = await testKey();

/** Values that are damaged until they are deleted. */
class DamagedValues extends Map<string, string> {
  readonly #deleted = new Set<string>();
  override get(name: string): string | undefined {
    return this.#deleted.has(name) ? undefined : "conformance-secret";
  }
  override delete(name: string): boolean {
    this.#deleted.add(name);
    return true;
  }
}

function damagedKeychain() {
  const values = new DamagedValues();
  return Object.assign(windowsKeychain(), {
    get: (account: string) => Promise.resolve(values.get(account)),
    delete: (account: string) => Promise.resolve(void values.delete(account)),
  });
}

/** The three methods alone. */
export function minimal(rows = new MemoryCredentialsBackend()): OidcCredentialsBackend {
  return {
    get: (key) => rows.get(key),
    put: (key, entry) => rows.put(key, entry),
    delete: (key) => rows.delete(key),
  };
}

/** All that a session does with a store, for tests in which each of it fails. */
export function callsOf(
  backend: Required<Pick<OidcCredentialsBackend, "get" | "put" | "delete" | "list" | "withLock">>,
): (() => Promise<unknown>)[] {
  return [
    () => Promise.try(() => backend.get(KEY)),
    () => Promise.try(() => backend.put(KEY, entry())),
    () => Promise.try(() => backend.delete(KEY)),
    () => Array.fromAsync(backend.list()),
    () => backend.withLock(KEY, () => Promise.resolve()),
  ];
}

/** As a session replaces the entry that it has read. */
export const isReplaced = (stored?: OidcCredentials | null): boolean =>
  stored?.access_token === entry().access_token;

const encrypted = (backend: OidcCredentialsBackend) =>
  new EncryptedCredentialsBackend({ backend, key });
const fallback = (...backends: OidcCredentialsBackend[]) =>
  new FallbackCredentialsBackend({ backends });

/** All stores by their names. Each call of `storesIn` gives stores of their own, in `sandbox`. */
export function storesIn({ folder, permissions }: Sandbox): Record<string, Store> {
  const parent = folder();
  const library = new ScriptedLibrary();
  library.values.set("damaged", new DamagedValues());
  library.load();
  const damaged = (name: string) => {
    const path = `${folder()}/${name}`;
    Deno.writeTextFileSync(path, '{"credentials": {"x": "conformance-secret'.repeat(200));
    Deno.chmodSync(path, 0o600);
    return path;
  };
  const file = (name = "file") => new FileCredentialsBackend({ path: `${parent}/${name}.json` });
  const others = (module: string, exportName: string, path: string) => ({
    module: new URL(`../../backends/${module}`, import.meta.url).href,
    exportName,
    options: { path },
  });
  const damagedFile = () => new FileCredentialsBackend({ path: damaged("broken.json") });
  const narrow = windowsKeychain();
  const vault = new ScriptedVault();
  const openVault = ({ fetch }: ScriptedVault, path = "users/anna") =>
    new VaultCredentialsBackend({
      address: "https://vault.example.com",
      path,
      auth: { method: "token", token: "given" },
      fetch,
    });
  const removed = new Set<string>();
  const damagedRows: OidcCredentialsBackend = {
    ...minimal(),
    get: (key) => removed.has(key) ? undefined : { encrypted: { version: 1 } } as never,
    delete: (key) => void removed.add(key),
  };
  return {
    memory: { open: () => new MemoryCredentialsBackend(), permissions: "none", compares: true },
    file: {
      open: () => file(),
      another: () => file("another"),
      broken: damagedFile,
      permissions,
      processes: others("file.ts", "FileCredentialsBackend", `${parent}/file.json`),
      proves: true,
      compares: true,
    },
    "kv in memory": {
      open: () => new KvCredentialsBackend(),
      another: () => new KvCredentialsBackend(),
      permissions: "none",
      compares: true,
    },
    "kv in a file": {
      open: () => new KvCredentialsBackend({ path: `${parent}/kv/kv.db` }),
      another: () => new KvCredentialsBackend({ path: `${parent}/kv/another.db` }),
      broken: () => new KvCredentialsBackend({ path: damaged("broken.db") }),
      permissions,
      processes: others("kv.ts", "KvCredentialsBackend", `${parent}/kv/kv.db`),
      compares: true,
    },
    keychain: {
      open: () => new KeychainCredentialsBackend({ lockFolder: parent }),
      another: () => new KeychainCredentialsBackend({ lockFolder: parent, service: "another" }),
      broken: () => new KeychainCredentialsBackend({ lockFolder: parent, service: "damaged" }),
      permissions: { ...permissions, ffi: true },
      compares: true,
    },
    "keychain with the limits of Windows": {
      open: () => keychainBackend(narrow, parent),
      broken: () => keychainBackend(damagedKeychain(), parent),
      permissions,
      compares: true,
      longestKey: 470,
    },
    "scripted Vault": {
      open: () => openVault(vault),
      another: () => openVault(vault, "users/berta"),
      broken: () => openVault(Object.assign(new ScriptedVault(), { tokens: new Set() })),
      permissions: "none",
      proves: true,
      compares: true,
    },
    "encrypted file": {
      open: () => encrypted(file("encrypted")),
      another: () => encrypted(file("another encrypted")),
      broken: () => encrypted(damagedFile()),
      permissions,
      proves: true,
      compares: true,
    },
    "encrypted backend of three methods": {
      open: () => encrypted(minimal()),
      broken: () => encrypted(damagedRows),
      permissions: "none",
    },
    "fallback of memory and memory": {
      open: () => fallback(new MemoryCredentialsBackend(), new MemoryCredentialsBackend()),
      broken: () => fallback(new MemoryCredentialsBackend(), damagedFile()),
      permissions: "none",
      compares: true,
    },
    "fallback of file and memory": {
      open: () => fallback(file("fallback"), new MemoryCredentialsBackend()),
      another: () => fallback(file("another fallback"), new MemoryCredentialsBackend()),
      broken: () => fallback(damagedFile()),
      permissions,
      compares: true,
    },
  };
}
