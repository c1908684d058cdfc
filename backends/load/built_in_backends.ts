import { FileCredentialsBackend } from "../file.ts";
import { KvCredentialsBackend } from "../kv.ts";
import { MemoryCredentialsBackend } from "../memory.ts";
import type { MaybePromise, OidcCredentialsBackend } from "../oidc_credentials_backend.ts";

/** Loaded where a setting names it: few people use it. */
const loadVault = () => import("../vault.ts");
/** Loaded where a setting names it: few people use it. */
const loadKeychain = () => import("../keychain.ts");
/** Loaded where a setting names it: few people use it. */
const loadEncrypted = () => import("../encrypted.ts");
/** Loaded where a setting names it: few people use it. */
const loadFallback = () => import("../fallback.ts");

/** A backend that a setting names by one word. */
export interface BuiltInBackend {
  /** The backend in a few words, for a list. */
  readonly summary: string;
  /**
   * The options that name a further backend, as paths. `[]` stands for each item of a list:
   * `olderKeys[].backend`.
   */
  readonly nested?: readonly string[];
  /** Gives the class. Its constructor takes the options as one object, and checks them. */
  load(): MaybePromise<new (options: never) => OidcCredentialsBackend>;
}

/** The built-in backends, by the word that names each. A further backend is one more row. */
const BACKENDS = {
  file: {
    summary: "a file, by default the one that the ValidMind Python library also uses",
    load: () => FileCredentialsBackend,
  },
  memory: {
    summary: "this process only",
    load: () => MemoryCredentialsBackend,
  },
  kv: {
    summary: "Deno KV: in memory, in a database file, or on a server",
    load: () => KvCredentialsBackend,
  },
  vault: {
    summary: "HashiCorp Vault or OpenBao, shared by hosts",
    load: async () => (await loadVault()).VaultCredentialsBackend,
  },
  keychain: {
    summary: "the keychain of the operating system",
    load: async () => (await loadKeychain()).KeychainCredentialsBackend,
  },
  encrypted: {
    summary: "another backend, with encryption of all that it stores",
    nested: ["backend", "key.backend", "olderKeys[].backend"],
    load: async () => (await loadEncrypted()).EncryptedCredentialsBackend,
  },
  fallback: {
    summary: "the first of several backends that takes the tokens",
    nested: ["backends[]"],
    load: async () => (await loadFallback()).FallbackCredentialsBackend,
  },
} satisfies Record<string, BuiltInBackend>;

export type BuiltInName = keyof typeof BACKENDS;

/** The built-in backends, by the word that names each. */
export const BUILT_IN_BACKENDS: Readonly<Record<BuiltInName, BuiltInBackend>> = BACKENDS;

export const BUILT_IN_NAMES = Object.keys(BACKENDS) as readonly BuiltInName[];
