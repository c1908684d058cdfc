import { checkOptions } from "./common/check_options.ts";
import { Queue } from "./common/promises.ts";
import type {
  BackendPermission,
  OidcCredentials,
  OidcCredentialsBackend,
  PutOptions,
  WithLockOptions,
} from "./oidc_credentials_backend.ts";

/**
 * Keeps credentials in this process only. They are gone when it ends, and nothing is written
 * anywhere. It is for hosts where no token may be stored, and for tests.
 *
 * Entries are copied on the way in and out, so a caller's later change does not reach the store.
 *
 * Needs no permission.
 *
 * @category Backends
 *
 * @example
 * ```ts
 * import { MemoryCredentialsBackend } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * const backend = new MemoryCredentialsBackend();
 * backend.put("https://login.example.com|my-app", {
 *   issuer: "https://login.example.com",
 *   client_id: "my-app",
 *   access_token: "…",
 *   expires_at: "2099-01-01T00:00:00Z",
 * });
 * assertEquals(backend.get("https://login.example.com|my-app")?.client_id, "my-app");
 * ```
 */
export class MemoryCredentialsBackend implements OidcCredentialsBackend {
  /** The name of the class, also in minified code. */
  static readonly name = "MemoryCredentialsBackend";
  /** Always `false`: nothing survives the process. */
  readonly persistent = false;
  /** The place of the entries, in words. */
  readonly location = "the memory of this process";
  // Text, as in a store: a copy on the way in and out.
  readonly #rows = new Map<string, string>();
  readonly #queue = new Queue();

  /**
   * Makes an empty store.
   *
   * @param options None: an object of options has to be empty.
   * @throws {CredentialsBackendError} `invalid_options`.
   */
  constructor(options: Record<string, never> = {}) {
    checkOptions("create MemoryCredentialsBackend", options, {});
  }

  /** The entry under `key`, or `undefined` when there is none. */
  get(key: string): OidcCredentials | undefined {
    const row = this.#rows.get(key);
    return row && JSON.parse(row);
  }

  /**
   * Stores a copy of `entry` under `key`.
   *
   * @returns Whether it was stored: `false` only where `isReplaced` refused.
   */
  put(key: string, entry: OidcCredentials, { isReplaced = () => true }: PutOptions = {}): boolean {
    if (!isReplaced(this.get(key))) return false;
    this.#rows.set(key, JSON.stringify(entry));
    return true;
  }

  /** Removes the entry under `key`, if there is one. */
  delete(key: string): void {
    this.#rows.delete(key);
  }

  /** The keys of all entries. */
  async *list(): AsyncGenerator<string> {
    yield* [...this.#rows.keys()];
  }

  /** Nothing is needed. */
  requiredPermissions(): BackendPermission[] {
    return [];
  }

  /** Removes every entry. */
  deleteAll(): void {
    this.#rows.clear();
  }

  /**
   * Runs `fn` after every earlier holder of the same key's lock in this process has ended.
   *
   * @throws {CredentialsBackendError} `backend_locked` after 30 seconds; the signal's reason when it
   * ends the wait.
   */
  async withLock<T>(
    key: string,
    fn: () => Promise<T>,
    options: WithLockOptions<T> = {},
  ): Promise<T> {
    return await this.#queue.run(key, fn, options.signal);
  }
}

/**
 * Another name of {@linkcode MemoryCredentialsBackend}, for readers who look for a backend that does
 * not persist.
 *
 * @category Backends
 */
export const NullCredentialsBackend = MemoryCredentialsBackend;
/**
 * The type of its instances.
 *
 * @category Backends
 */
export type NullCredentialsBackend = MemoryCredentialsBackend;
