import { toBase64 } from "../../backends/common/printable.ts";
import { Queue } from "../../backends/common/promises.ts";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import type {
  MaybePromise,
  OidcCredentials,
  OidcCredentialsBackend,
  PutOptions,
  WithLockOptions,
} from "../../backends/oidc_credentials_backend.ts";
import { ValidMindAuthError } from "../errors.ts";
import { getOrSet, ownerOf, StoredCredential, type Unstored, unstoredEntries } from "./source.ts";

/** Loaded where a store fails. */
const loadDescription = () => import("../../backends/common/describe_backend.ts");

/** Queues for backends without a lock of their own: one refresh at a time per process, always. */
const queues = new WeakMap<object, Queue>();

/** Enough to recognise every older copy of an entry that a store can come up with. */
const MAX_REMEMBERED = 64;

/** Hashes of the used refresh tokens of this process, by store and key. */
const spent = new WeakMap<object, Map<string, Set<string>>>();

/** The keys of a backend's entries that could not be stored yet. */
export function unstoredKeys(backend: OidcCredentialsBackend): string[] {
  return [...unstoredEntries(ownerOf(backend)).keys()];
}

/** One credential in a backend: reads it, changes it, and keeps an entry that could not be written. */
export class CredentialStore {
  readonly #stored: StoredCredential;
  readonly #unstored: Map<string, Unstored>;
  /** The entry that was read or written last: no error shows its tokens. */
  #known: OidcCredentials | undefined;

  constructor(backend: OidcCredentialsBackend, key: string) {
    this.#stored = new StoredCredential(backend, key);
    this.#unstored = unstoredEntries(this.#stored.owner);
  }

  get backend(): OidcCredentialsBackend {
    return this.#stored.backend;
  }

  get key(): string {
    return this.#stored.key;
  }

  /** Stands for the store: the same object for two backends that lead to one place. */
  get owner(): object {
    return this.#stored.owner;
  }

  /** The entry of this process that could not be stored yet. */
  get unstored(): OidcCredentials | undefined {
    return this.#stored.unstored;
  }

  /** The entry, or `undefined` when there is none. Tries an unsuccessful write again. */
  async load(): Promise<OidcCredentials | undefined> {
    if (this.unstored === undefined) return await this.#read();
    try {
      return await this.withLock(() => this.loadLocked());
    } catch {
      return this.unstored ?? await this.#read();
    }
  }

  /** The same, for a caller that holds the lock. */
  async loadLocked(): Promise<OidcCredentials | undefined> {
    const unstored = this.#unstored.get(this.key);
    if (unstored === undefined) return await this.#read();
    const { entry, replaces } = unstored;
    let isWanted: boolean;
    try {
      isWanted = isReplaced(await this.#read(), replaces);
      // A sign-out that got no lock may come between the look and the write.
      const decide = (present: OidcCredentials | undefined) =>
        isWanted = isReplaced(present, replaces);
      if (isWanted) await this.#put(entry, { isReplaced: decide });
    } catch {
      return entry; // its first failure was reported; the next use tries again
    }
    if (this.#unstored.get(this.key) === unstored) this.#unstored.delete(this.key);
    return isWanted ? entry : await this.#read();
  }

  /** The entry while another process holds the lock. Reports no fault. */
  async peek(): Promise<OidcCredentials | undefined> {
    if (this.unstored !== undefined) return undefined;
    return await this.#stored.read().catch(() => undefined);
  }

  /** Stores an entry in the place of the given state. When that fails, it is kept in this process. */
  async save(
    entry: OidcCredentials,
    replaces: OidcCredentials | "anything" | undefined,
    options?: PutOptions,
  ): Promise<void> {
    try {
      await this.#put(entry, options);
      this.#unstored.delete(this.key);
    } catch (error) {
      throw await this.keepUnstored(entry, replaces, error);
    }
  }

  /**
   * Stores an entry in the place of another one, and of no other grant: a sign-out or a new sign-in that
   * came in between wins. Then the result is `false`, and the entry was not stored.
   */
  async replace(entry: OidcCredentials, replaced: OidcCredentials): Promise<boolean> {
    const replaces = this.#replacedBy(replaced);
    if (replaces !== "anything") {
      let stored: OidcCredentials | undefined;
      try {
        stored = await this.#read();
      } catch (error) {
        throw await this.keepUnstored(entry, replaced, error);
      }
      if (!isReplaced(stored, replaces)) return false;
    }
    let isWanted = true; // where the backend does not compare
    const decide = (present: OidcCredentials | undefined) =>
      isWanted = isReplaced(present, replaces);
    await this.save(entry, replaced, { isReplaced: decide });
    return isWanted;
  }

  /** Keeps an entry in this process until a later use can store it. Gives the error that says so. */
  async keepUnstored(
    entry: OidcCredentials,
    replaces: OidcCredentials | "anything" | undefined,
    error: unknown,
  ): Promise<ValidMindAuthError> {
    this.#unstored.set(this.key, { entry, replaces: this.#replacedBy(replaces) });
    const { backendError, describeBackend } = await loadDescription();
    const cause = backendError("write to", this.backend, error, entry);
    const place = describeBackend(this.backend);
    return new ValidMindAuthError(
      "credentials_not_stored",
      `Cannot store the new tokens in ${place}: ${cause.message} They stay usable in this process, ` +
        `and each use tries to store them again; a new process may have to sign in.`,
      { cause },
    );
  }

  /** The states that a new entry replaces: also those of an unstored one, which it follows. */
  #replacedBy(replaced: OidcCredentials | "anything" | undefined): Unstored["replaces"] {
    const earlier = this.#unstored.get(this.key)?.replaces ?? [];
    if (replaced === "anything" || earlier === "anything") return "anything";
    return [...earlier, grantOf(replaced)];
  }

  /** Removes the entry, stored or not. */
  async remove(): Promise<void> {
    this.#unstored.delete(this.key);
    await this.#guard("delete credentials from", () => this.backend.delete(this.key));
  }

  /** Removes the whole store, where the backend can: the way out of a store that cannot be read. */
  async removeAll(): Promise<void> {
    this.#unstored.clear();
    await this.#guard("delete", () => this.backend.deleteAll?.());
  }

  /** Removes the entry only if its refresh token is still the refused one. */
  async removeRefused(refused: OidcCredentials): Promise<void> {
    if (grantOf(await this.loadLocked()) === grantOf(refused)) await this.remove();
  }

  /** Runs `fn` alone, as widely as the backend can lock. */
  async withLock<T>(fn: () => Promise<T>, options: WithLockOptions<T> = {}): Promise<T> {
    let own: { value: T } | { error: unknown } | undefined;
    const run = async () => {
      try {
        const value = await fn();
        own = { value };
        return value;
      } catch (error) {
        own = { error };
        throw error;
      }
    };
    try {
      if (this.backend.withLock) return await this.backend.withLock(this.key, run, options);
      const queue = getOrSet(queues, this.owner, () => new Queue());
      return await queue.run(this.key, run, options.signal);
    } catch (error) {
      // The result of `fn` counts, also where the lock could not be released after it.
      if (own !== undefined && "value" in own) return own.value;
      if (own !== undefined) throw own.error;
      if (options.signal?.aborted && error === options.signal.reason) throw error;
      const { backendError } = await loadDescription();
      throw backendError("lock credentials in", this.backend, error, this.#known);
    }
  }

  /** Proves that an entry can be written, read and removed, before a person is asked. */
  async probe(): Promise<void> {
    const probe = new CredentialStore(this.backend, probeKey());
    const entry = probeEntry("probe");
    let read: OidcCredentials | undefined;
    try {
      await probe.#put(entry);
      read = await probe.#stored.read();
    } catch (error) {
      await probe.remove().catch(() => undefined);
      throw error;
    }
    await probe.remove();
    const isGone = await probe.#stored.read() === undefined;
    if (read?.client_id === entry.client_id && read.access_token === entry.access_token && isGone) {
      return;
    }
    const { describeBackend } = await loadDescription();
    throw new CredentialsBackendError(
      "backend_unproven",
      `Cannot sign in with ${describeBackend(this.backend)}: a test entry that was written, read ` +
        `and removed did not come back the same. Repair the backend, or use another one.`,
    );
  }

  async #read(): Promise<OidcCredentials | undefined> {
    const entry = await this.#stored.read(this.#known);
    this.#known = entry ?? this.#known;
    return entry;
  }

  async #put(entry: OidcCredentials, options?: PutOptions): Promise<void> {
    this.#known = entry;
    await this.#guard("write credentials to", () => this.backend.put(this.key, entry, options));
  }

  async #guard<T>(action: string, run: () => MaybePromise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      const { backendError } = await loadDescription();
      throw backendError(action, this.backend, error, this.#known);
    }
  }
}

function grantOf(entry: OidcCredentials | undefined): string | undefined {
  return entry?.refresh_token ?? entry?.access_token;
}

function isReplaced(stored: OidcCredentials | undefined, replaces: Unstored["replaces"]): boolean {
  return replaces === "anything" || replaces.includes(grantOf(stored));
}

/** Whether two entries belong to different grants, or are different states of one. */
export function isOtherGrant(one: OidcCredentials, other: OidcCredentials): boolean {
  return grantOf(one) !== grantOf(other);
}

/** The place of a coming entry in its store. Disposal frees it, once the reservation has ended. */
export class Reservation implements AsyncDisposable {
  readonly #reserving: Promise<AsyncDisposable | undefined>;

  constructor(backend: OidcCredentialsBackend, present: OidcCredentials) {
    this.#reserving = reserve(backend, present);
    this.#reserving.catch(() => undefined); // thrown by `ready`
  }

  /** Waits until the store is known to accept the next `put`. Throws the error of that `put`. */
  async ready(): Promise<void> {
    await this.#reserving;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const reserved = await this.#reserving.catch(() => undefined);
    await reserved?.[Symbol.asyncDispose]();
  }
}

async function reserve(
  backend: OidcCredentialsBackend,
  present: OidcCredentials,
): Promise<AsyncDisposable | undefined> {
  try {
    return await tryWrite(backend, present);
  } catch (error) {
    const { backendError } = await loadDescription();
    throw backendError("write credentials to", backend, error, present);
  }
}

/**
 * Writes and removes an entry of the same size under a key of its own. The present entry is not
 * written again in its own place: that would undo a sign-out or a rotation of another process since
 * it was read.
 */
async function tryWrite(
  backend: OidcCredentialsBackend,
  present: OidcCredentials,
): Promise<undefined> {
  if (backend.persistent === false) return;
  const key = probeKey();
  await backend.put(key, probeEntry("x".repeat(JSON.stringify(present).length)));
  await backend.delete(key);
}

function probeKey(): string {
  return `probe|${crypto.randomUUID()}`;
}

function probeEntry(access_token: string) {
  const expires_at = new Date(0).toISOString();
  return { issuer: "probe", client_id: "probe", access_token, expires_at };
}

/**
 * Remembers, for this process, that a refresh token is used up. A provider takes its second use for a
 * theft and ends the sign-in. Only a hash is kept.
 */
export async function markSpent({ owner, key }: CredentialStore, token: string): Promise<void> {
  const keys = getOrSet(spent, owner, () => new Map<string, Set<string>>());
  const hashes = getOrSet(keys, key, () => new Set<string>());
  hashes.add(await hash(token));
  const [oldest] = hashes;
  if (hashes.size > MAX_REMEMBERED) hashes.delete(oldest!);
}

/** Whether this process knows that a refresh token is used up. */
export async function isSpent({ owner, key }: CredentialStore, token: string): Promise<boolean> {
  const hashes = spent.get(owner)?.get(key);
  return hashes !== undefined && hashes.has(await hash(token));
}

async function hash(token: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  return toBase64(new Uint8Array(bytes));
}
