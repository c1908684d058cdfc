import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../backends/oidc_credentials_backend.ts";

/** What an entry takes the place of: a certain grant, or after a new sign-in whatever is there. */
export type Replaces = { grant: string | undefined } | "anything";

/** An entry that could not be stored. */
export interface Unstored {
  entry: OidcCredentials;
  replaces: Replaces;
}

/** By store, not by session: the next `init()` in this process must find the tokens too. */
const unstored = new WeakMap<object, Map<string, Unstored>>();
/** One object for all instances that lead to one persistent store. */
const stores = new Map<string, object>();

/**
 * One credential in a backend, as every start reads it. What is written, locked or removed is
 * `CredentialStore`'s, which is loaded when it is needed.
 */
export class StoredCredential {
  readonly backend: OidcCredentialsBackend;
  readonly key: string;
  /** Stands for the store itself: the same for two backends that lead to one place. */
  readonly identity: object;
  constructor(backend: OidcCredentialsBackend, key: string) {
    this.backend = backend;
    this.key = key;
    this.identity = storeIdentity(backend);
  }

  /** The keys of a backend's entries that could not be stored yet. */
  static unstoredKeys(backend: OidcCredentialsBackend): string[] {
    return [...unstored.get(storeIdentity(backend))?.keys() ?? []];
  }

  /** The entry that could not be stored yet, if there is one. */
  get pending(): OidcCredentials | undefined {
    return unstored.get(this.identity)?.get(this.key)?.entry;
  }

  /** What the backend holds. */
  async read(): Promise<OidcCredentials | undefined> {
    try {
      return await this.backend.get(this.key) ?? undefined;
    } catch (error) {
      const { backendError } = await import("./backend_error.ts");
      throw backendError("read credentials from", this.backend, error);
    }
  }
}

/** What could not be written to a store yet, by key. */
export function unstoredEntries(identity: object): Map<string, Unstored> {
  return getOrSet(unstored, identity, () => new Map());
}

function storeIdentity(backend: OidcCredentialsBackend): object {
  const { persistent, location } = backend;
  if (persistent !== true || typeof location !== "string") return backend;
  return getOrSet(stores, `${backend.constructor?.name} ${location}`, () => ({}));
}

interface MapLike<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V): unknown;
}

/** What a map has under a key, made where it has nothing. */
export function getOrSet<K, V>(map: MapLike<K, V>, key: K, create: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = create();
    map.set(key, value);
  }
  return value;
}
