import { CredentialsBackendError } from "../backends/credentials_backend_error.ts";
import { MemoryCredentialsBackend } from "../backends/memory.ts";
import type {
  MaybePromise,
  OidcCredentials,
  OidcCredentialsBackend,
  WithLockOptions,
} from "../backends/oidc_credentials_backend.ts";
import { ValidMindAuthError } from "./errors.ts";
import { printable } from "./printable.ts";

/** What an entry takes the place of: a certain grant, or after a new sign-in whatever is there. */
type Replaces = { grant: string | undefined } | "anything";

/** An entry that could not be stored. */
interface Unstored {
  entry: OidcCredentials;
  replaces: Replaces;
}

/** By store, not by session: the next `init()` in this process must find the tokens too. */
const unstored = new WeakMap<object, Map<string, Unstored>>();
/** Queues for backends without a lock of their own: one refresh at a time per process, always. */
const processLocks = new WeakMap<object, MemoryCredentialsBackend>();
/** One object for all instances that lead to one persistent store. */
const stores = new Map<string, object>();

/** One credential in a backend, and what could not be written to it. */
export class CredentialStore {
  readonly backend: OidcCredentialsBackend;
  readonly key: string;
  /** Stands for the store itself: the same for two backends that lead to one place. */
  readonly identity: object;
  readonly #unstored: Map<string, Unstored>;

  constructor(backend: OidcCredentialsBackend, key: string) {
    this.backend = backend;
    this.key = key;
    this.identity = storeIdentity(backend);
    this.#unstored = getOrSet(unstored, this.identity, () => new Map());
  }

  /** The keys of a backend's entries that could not be stored yet. */
  static unstoredKeys(backend: OidcCredentialsBackend): string[] {
    return [...unstored.get(storeIdentity(backend))?.keys() ?? []];
  }

  /** The entry that could not be stored yet, if there is one. */
  get pending(): OidcCredentials | undefined {
    return this.#unstored.get(this.key)?.entry;
  }

  /** The entry, or `undefined` when there is none. Tries an unsuccessful write again. */
  async load(): Promise<OidcCredentials | undefined> {
    if (!this.#unstored.has(this.key)) return await this.#get();
    try {
      return await this.withLock(() => this.loadLocked());
    } catch {
      return this.pending ?? await this.#get();
    }
  }

  /** The same, for a caller that holds the lock. */
  async loadLocked(): Promise<OidcCredentials | undefined> {
    const pending = this.#unstored.get(this.key);
    if (pending === undefined) return await this.#get();
    try {
      const stored = await this.#get();
      const isWanted = pending.replaces === "anything" ||
        grantOf(stored) === pending.replaces.grant;
      if (isWanted) await this.#put(pending.entry);
      this.#unstored.delete(this.key);
      return isWanted ? pending.entry : stored;
    } catch {
      return pending.entry; // reported when it happened first; the next use tries again
    }
  }

  /** What is stored, for a look while another process holds the lock. Tells no fault. */
  async peek(): Promise<OidcCredentials | undefined> {
    return this.#unstored.has(this.key) ? undefined : await this.#get().catch(() => undefined);
  }

  /**
   * Stores an entry. When that fails, the entry lives on in this process.
   *
   * @param replaces The entry that it takes the place of.
   */
  async save(
    entry: OidcCredentials,
    replaces: OidcCredentials | "anything" | undefined,
  ): Promise<void> {
    try {
      await this.#put(entry);
      this.#unstored.delete(this.key);
    } catch (error) {
      throw this.keepUnstored(entry, replaces, error);
    }
  }

  /** Keeps an entry in this process until a use of it can store it. Gives the error that says so. */
  keepUnstored(
    entry: OidcCredentials,
    replaces: OidcCredentials | "anything" | undefined,
    error: unknown,
  ): ValidMindAuthError {
    const earlier = this.#unstored.get(this.key)?.replaces;
    const own: Replaces = replaces === "anything" ? replaces : { grant: grantOf(replaces) };
    this.#unstored.set(this.key, {
      entry,
      replaces: own === "anything" ? own : earlier ?? own, // the store still has what came first
    });
    return notStored(this.backend, error);
  }

  /** Removes the entry, stored or not. */
  async remove(): Promise<void> {
    this.#unstored.delete(this.key);
    await this.#guard("delete credentials from", () => this.backend.delete(this.key));
  }

  /** Removes the whole store, where the backend can, for a store that cannot be understood. */
  async removeAll(): Promise<void> {
    this.#unstored.clear();
    await this.#guard("delete", () => this.backend.deleteAll?.());
  }

  /** Removes the entry only if its refresh token is still the refused one. */
  async removeRefused(refused: OidcCredentials): Promise<void> {
    if (grantOf(await this.loadLocked()) === grantOf(refused)) await this.remove();
  }

  /** Runs `fn` alone, as widely as the backend can see to it. */
  async withLock<T>(fn: () => Promise<T>, options: WithLockOptions<T> = {}): Promise<T> {
    const lock = this.backend.withLock
      ? this.backend as Required<Pick<OidcCredentialsBackend, "withLock">>
      : getOrSet(processLocks, this.identity, () => new MemoryCredentialsBackend());
    let own: { value: T } | { error: unknown } | undefined;
    try {
      return await lock.withLock(this.key, async () => {
        try {
          const value = await fn();
          own = { value };
          return value;
        } catch (error) {
          own = { error };
          throw error;
        }
      }, options);
    } catch (error) {
      // What was done counts, also where the lock could not be given back after it.
      if (own !== undefined && "value" in own) return own.value;
      if (own !== undefined) throw own.error;
      if (options.signal?.aborted && error === options.signal.reason) throw error;
      throw backendError("lock credentials in", this.backend, error);
    }
  }

  /** Proves that what is written can be read and removed, before a person is asked for anything. */
  async probe(): Promise<void> {
    const probe = new CredentialStore(this.backend, `probe|${crypto.randomUUID()}`);
    const entry = {
      issuer: "probe",
      client_id: "probe",
      access_token: "probe",
      expires_at: new Date(0).toISOString(),
    };
    let read: OidcCredentials | undefined;
    try {
      await probe.#put(entry);
      read = await probe.#get();
    } catch (error) {
      await probe.remove().catch(() => undefined);
      throw error;
    }
    await probe.remove();
    const isGone = await probe.#get() === undefined;
    if (read?.client_id === entry.client_id && read.access_token === entry.access_token && isGone) {
      return;
    }
    throw new CredentialsBackendError(
      "backend_unproven",
      `Cannot sign in with ${describeBackend(this.backend)}: a test entry that was written, read ` +
        `and removed did not come back the same. Repair the backend, or use another one.`,
    );
  }

  async #get(): Promise<OidcCredentials | undefined> {
    const get = () => this.backend.get(this.key);
    return await this.#guard("read credentials from", get) ?? undefined;
  }

  async #put(entry: OidcCredentials): Promise<void> {
    await this.#guard("write credentials to", () => this.backend.put(this.key, entry));
  }

  async #guard<T>(action: string, run: () => MaybePromise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw backendError(action, this.backend, error);
    }
  }
}

/** A backend in words: its class, and where it keeps things. */
export function describeBackend(backend: OidcCredentialsBackend): string {
  const { location } = backend;
  return `${backendName(backend)}${typeof location === "string" ? ` (${location})` : ""}`;
}

/** The name of a backend's class, where it has one. */
export function backendName(backend: OidcCredentialsBackend): string {
  const name = backend.constructor?.name;
  return name && name !== "Object" ? name : "the credentials backend";
}

/**
 * The coded error for what a backend threw. What is not coded is a stranger's: its message may quote
 * an entry (V8's on bad JSON does), so only its name is kept.
 */
export function backendError(
  action: string,
  backend: OidcCredentialsBackend,
  error: unknown,
): CredentialsBackendError {
  if (error instanceof CredentialsBackendError) return error;
  const name = error instanceof Error ? printable(error.name, 60) : "something that is no error";
  return new CredentialsBackendError(
    "backend_unavailable",
    `Cannot ${action} ${
      describeBackend(backend)
    }: it threw ${name}, whose text is left out since ` +
      `it may quote a token. Have the backend throw a CredentialsBackendError with words of its own.`,
  );
}

function grantOf(entry: OidcCredentials | undefined): string | undefined {
  return entry?.refresh_token ?? entry?.access_token;
}

/** Whether two entries belong to different grants, or states of one. */
export function isOtherGrant(one: OidcCredentials, other: OidcCredentials): boolean {
  return grantOf(one) !== grantOf(other);
}

function notStored(backend: OidcCredentialsBackend, error: unknown): ValidMindAuthError {
  const cause = backendError("write to", backend, error);
  return new ValidMindAuthError(
    "credentials_not_stored",
    `Cannot store the new tokens in ${
      describeBackend(backend)
    }: ${cause.message} They stay usable ` +
      `in this process, and each use tries to store them again; a new process would have to sign in.`,
    { cause },
  );
}

function storeIdentity(backend: OidcCredentialsBackend): object {
  const { persistent, location } = backend;
  if (persistent !== true || typeof location !== "string") return backend;
  return getOrSet(stores, `${backendName(backend)} ${location}`, () => ({}));
}

interface MapLike<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V): unknown;
}

function getOrSet<K, V>(map: MapLike<K, V>, key: K, create: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = create();
    map.set(key, value);
  }
  return value;
}
