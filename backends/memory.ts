import { checkOptions, checkTimeoutOption } from "./common/check_options.ts";
import { CredentialsBackendError } from "./credentials_backend_error.ts";
import type {
  BackendPermission,
  OidcCredentials,
  OidcCredentialsBackend,
  WithLockOptions,
} from "./oidc_credentials_backend.ts";
import { untilAborted } from "./common/delay.ts";

/** Options of {@linkcode MemoryCredentialsBackend}. */
export interface MemoryCredentialsBackendOptions {
  /**
   * Longest wait for the lock of another use in this process, in milliseconds.
   *
   * @default 30_000
   */
  lockTimeoutMs?: number;
}

/**
 * Keeps credentials in this process alone: they are gone when it ends, and nothing is written
 * anywhere. For hosts where no token may be stored, and for tests.
 *
 * Entries are copied on the way in and out, so a caller's later change does not reach the store.
 *
 * Needs no permission.
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
  /** Always `false`: nothing survives the process. */
  readonly persistent = false;
  /** Where entries are, in words. */
  readonly location = "the memory of this process";
  // Text, not objects: a copy on the way in and out, and what every other backend could store too.
  readonly #rows = new Map<string, string>();
  readonly #lockTimeoutMs: number;
  readonly #tails = new Map<string, Promise<void>>();

  /**
   * Makes an empty store.
   *
   * @param options How long a lock is waited for.
   * @throws {CredentialsBackendError} `invalid_options`.
   */
  constructor(options: MemoryCredentialsBackendOptions = {}) {
    const action = "create MemoryCredentialsBackend";
    checkOptions(action, options, ["lockTimeoutMs"]);
    const { lockTimeoutMs = 30_000 } = options;
    checkTimeoutOption(action, "lockTimeoutMs", lockTimeoutMs);
    this.#lockTimeoutMs = lockTimeoutMs;
  }

  /** The entry under `key`, or `undefined` when there is none. */
  get(key: string): OidcCredentials | undefined {
    const row = this.#rows.get(key);
    return row === undefined ? undefined : JSON.parse(row);
  }

  /** Stores a copy of `entry` under `key`. */
  put(key: string, entry: OidcCredentials): void {
    this.#rows.set(key, JSON.stringify(entry));
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
   * @throws {CredentialsBackendError} `backend_locked` after `lockTimeoutMs`; the signal's reason
   * when it ends the wait.
   */
  async withLock<T>(
    key: string,
    fn: () => Promise<T>,
    options: WithLockOptions<T> = {},
  ): Promise<T> {
    const { signal } = options;
    signal?.throwIfAborted();
    const before = this.#tails.get(key);
    const own = Promise.withResolvers<void>();
    const tail = before === undefined ? own.promise : before.then(() => own.promise);
    this.#tails.set(key, tail);
    try {
      if (before !== undefined) await this.#waitFor(before, signal);
      return await fn();
    } finally {
      own.resolve();
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    }
  }

  async #waitFor(before: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    const late = new AbortController();
    const ms = this.#lockTimeoutMs;
    const timer = setTimeout(() => late.abort(lockTimeout(ms)), Math.min(ms, 2 ** 31 - 1));
    try {
      await untilAborted(before, signal ? AbortSignal.any([signal, late.signal]) : late.signal);
    } finally {
      clearTimeout(timer);
    }
  }
}

function lockTimeout(ms: number): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_locked",
    `Cannot lock credentials in memory within ${ms} ms: another part of this process holds the ` +
      `lock, most likely a refresh whose provider does not answer. Wait for it.`,
  );
}

/**
 * Stores nothing beyond the process: another name of {@linkcode MemoryCredentialsBackend}, for
 * those who look for the backend that does not persist.
 */
export const NullCredentialsBackend = MemoryCredentialsBackend;
/** Stores nothing beyond the process: another name of {@linkcode MemoryCredentialsBackend}. */
export type NullCredentialsBackend = MemoryCredentialsBackend;
