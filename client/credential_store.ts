import { CredentialsBackendError } from "../backends/credentials_backend_error.ts";
import { MemoryCredentialsBackend } from "../backends/memory.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../backends/oidc_credentials_backend.ts";
import { ValidMindAuthError } from "./errors.ts";

/** An entry that could not be stored, and the refresh token of the entry that it was to replace. */
interface Unstored {
  entry: OidcCredentials;
  replaces: string | undefined;
}

/** Per backend, not per session: the next `init()` in this process must find the tokens too. */
const unstored = new WeakMap<OidcCredentialsBackend, Map<string, Unstored>>();
/** Queues for backends without a lock of their own: one refresh at a time per process, always. */
const processLocks = new WeakMap<OidcCredentialsBackend, MemoryCredentialsBackend>();

/** One credential in a backend, and what could not be written to it. */
export class CredentialStore {
  readonly backend: OidcCredentialsBackend;
  readonly key: string;
  readonly #unstored: Map<string, Unstored>;

  constructor(backend: OidcCredentialsBackend, key: string) {
    this.backend = backend;
    this.key = key;
    this.#unstored = getOrSet(unstored, backend, () => new Map());
  }

  /** The entry, or `undefined` when there is none. Tries an unsuccessful write again. */
  async load(): Promise<OidcCredentials | undefined> {
    const pending = this.#unstored.get(this.key);
    if (pending === undefined) return await this.backend.get(this.key) ?? undefined;
    try {
      const stored = await this.backend.get(this.key) ?? undefined;
      if (grantOf(stored) === pending.replaces) await this.backend.put(this.key, pending.entry);
      this.#unstored.delete(this.key);
      return grantOf(stored) === pending.replaces ? pending.entry : stored;
    } catch {
      return pending.entry; // reported when it happened first; the next use tries again
    }
  }

  /**
   * Stores an entry. When that fails, the entry lives on in this process.
   *
   * @param replaces The entry that it takes the place of.
   */
  async save(entry: OidcCredentials, replaces: OidcCredentials | undefined): Promise<void> {
    try {
      await this.backend.put(this.key, entry);
      this.#unstored.delete(this.key);
    } catch (error) {
      this.keepUnstored(entry, replaces);
      throw notStored(this.backend, error);
    }
  }

  /** Keeps an entry in this process until a use of it can store it. */
  keepUnstored(entry: OidcCredentials, replaces: OidcCredentials | undefined): void {
    const earlier = this.#unstored.get(this.key);
    this.#unstored.set(this.key, { entry, replaces: earlier?.replaces ?? grantOf(replaces) });
  }

  /** Removes the entry, stored or not. */
  async remove(): Promise<void> {
    this.#unstored.delete(this.key);
    await this.backend.delete(this.key);
  }

  /** Removes the entry only if its refresh token is still the refused one. */
  async removeRefused(refused: OidcCredentials): Promise<void> {
    if (grantOf(await this.load()) === grantOf(refused)) await this.remove();
  }

  /** Runs `fn` alone, as widely as the backend can see to it. */
  async withLock<T>(fn: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const lock = this.backend.withLock
      ? this.backend as Required<Pick<OidcCredentialsBackend, "withLock">>
      : getOrSet(processLocks, this.backend, () => new MemoryCredentialsBackend());
    return await lock.withLock(this.key, fn, signal === undefined ? {} : { signal });
  }

  /** Proves that what is written can be read and removed, before a person is asked for anything. */
  async probe(): Promise<void> {
    const key = `probe|${crypto.randomUUID()}`;
    const entry = { issuer: "probe", client_id: "probe", access_token: "probe" };
    await this.backend.put(key, { ...entry, expires_at: new Date(0).toISOString() });
    const read = await this.backend.get(key);
    await this.backend.delete(key);
    const isGone = (await this.backend.get(key) ?? undefined) === undefined;
    if (read?.client_id === entry.client_id && read.access_token === entry.access_token && isGone) {
      return;
    }
    throw new CredentialsBackendError(
      "backend_unproven",
      `Cannot sign in with ${describeBackend(this.backend)}: a test entry that was written, read ` +
        `and removed did not come back the same. Repair the backend, or use another one.`,
    );
  }
}

/** A backend in words: its class, and where it keeps things. */
export function describeBackend(backend: OidcCredentialsBackend): string {
  const name = backend.constructor?.name || "a credentials backend";
  return typeof backend.location === "string" ? `${name} (${backend.location})` : name;
}

function grantOf(entry: OidcCredentials | undefined): string | undefined {
  return entry?.refresh_token ?? entry?.access_token;
}

function notStored(backend: OidcCredentialsBackend, error: unknown): ValidMindAuthError {
  const reason = error instanceof CredentialsBackendError
    ? error.message
    : `${error instanceof Error ? error.name : "an unknown error"} in the backend.`;
  return new ValidMindAuthError(
    "credentials_not_stored",
    `Cannot store the new tokens in ${describeBackend(backend)}: ${reason} They stay usable in ` +
      `this process, and each use tries to store them again; a new process would have to sign in.`,
    error instanceof CredentialsBackendError ? { cause: error } : {},
  );
}

function getOrSet<K extends object, V>(map: WeakMap<K, V>, key: K, create: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = create();
    map.set(key, value);
  }
  return value;
}
