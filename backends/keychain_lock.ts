import { fileError } from "./file_reader.ts";
import { withFileLock } from "./file_lock.ts";
import type { WithLockOptions } from "./oidc_credentials_backend.ts";
import { shortHash } from "./short_hash.ts";

/** What {@linkcode KeychainLock} is told. */
export interface KeychainLockOptions {
  /** Where the lock files are. */
  folder: string;
  /** The service whose entries are locked. */
  service: string;
  /** Longest wait, in milliseconds. */
  timeoutMs: number;
}

/** About how long a refresh holds its lock. */
const REFRESH_MS = 20;

/**
 * The locks that no keychain has: kernel locks on files in a folder that all who share the keychain
 * share too.
 */
export class KeychainLock {
  readonly #options: KeychainLockOptions;

  constructor(options: KeychainLockOptions) {
    this.#options = options;
  }

  /** Runs `fn` under the lock of one key, which is not the one that a write takes. */
  async withKey<T>(
    key: string,
    fn: () => Promise<T>,
    { signal, peek }: WithLockOptions<T>,
  ): Promise<T> {
    const { service, timeoutMs } = this.#options;
    return await withFileLock(this.#path(`${shortHash(service)}.${shortHash(key)}`), fn, {
      timeoutMs,
      paceMs: REFRESH_MS,
      signal,
      peek,
    });
  }

  /** Runs a write of the service while no other one does. */
  async withWrite<T>(fn: () => Promise<T>): Promise<T> {
    const { service, timeoutMs } = this.#options;
    return await withFileLock(this.#path(shortHash(service)), fn, { timeoutMs });
  }

  #path(name: string): string {
    const { folder } = this.#options;
    const path = `${folder}/keychain.${name}.lock`;
    try {
      Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw fileError("make the folder of", path, error);
    }
    return path;
  }
}
