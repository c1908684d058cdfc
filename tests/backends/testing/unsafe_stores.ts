/** Stores over SQLite or a file, which one process can use, and several cannot; and one that they can. */
import { delay } from "../../../backends/common/promises.ts";
import { withFileLock } from "../../../backends/file.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type {
  OidcCredentials,
  WithLockOptions,
} from "../../../backends/oidc_credentials_backend.ts";
import { SqliteStore } from "./sqlite_store.ts";

export { SqliteStore };

interface Place {
  path: string;
}

/** Has no lock at all. */
export class WithoutLock extends SqliteStore {
  constructor(place: Place) {
    super(place);
    Object.assign(this, { withLock: undefined });
  }
}

/** Keeps out the holders of its own process alone. */
export class OwnLock extends SqliteStore {
  static readonly #queue = new MemoryCredentialsBackend();
  override withLock<T>(key: string, fn: () => Promise<T>, options?: WithLockOptions<T>) {
    return OwnLock.#queue.withLock(key, fn, options);
  }
}

/** Makes a file that is the lock, which a killed process leaves there. */
export class LockByFile extends SqliteStore {
  readonly #lock: string;
  constructor(place: Place) {
    super(place);
    this.#lock = `${place.path}.lock`;
  }
  override async withLock<T>(key: string, fn: () => Promise<T>, options?: WithLockOptions<T>) {
    const path = `${this.#lock}.${key.length}`;
    while (!this.#make(path)) await delay(10, options?.signal);
    return await fn().finally(() => Deno.removeSync(path));
  }
  #make(path: string): boolean {
    try {
      Deno.openSync(path, { createNew: true, write: true }).close();
      return true;
    } catch {
      return false;
    }
  }
}

/** Takes over the lock of a killed process, and that of whoever was quicker. */
export class RacyTakeover extends SqliteStore {
  readonly #path: string;
  constructor(place: Place) {
    super(place);
    this.#path = place.path;
  }
  override async withLock<T>(key: string, fn: () => Promise<T>, options?: WithLockOptions<T>) {
    const path = `${this.#path}.takeover.${key.length}`;
    for (;;) {
      const isOld = await takeNew(path, options?.signal);
      if (isOld === false) break;
      await delay(30, options?.signal);
      await Deno.remove(path).catch(() => undefined); // perhaps the lock of a new holder
    }
    return await fn().finally(() => Deno.remove(path).catch(() => undefined));
  }
}

/** Makes a file, or waits until it is old: then the result is `true`. */
async function takeNew(path: string, signal: AbortSignal | undefined): Promise<boolean> {
  for (;;) {
    try {
      Deno.openSync(path, { createNew: true, write: true }).close();
      return false;
    } catch {
      const { mtime } = await Deno.stat(path).catch(() => ({ mtime: null }));
      if (mtime !== null && Date.now() - mtime.getTime() > 800) return true;
      await delay(10, signal);
    }
  }
}

/** Uses the file lock of this module. */
export class FileLocked extends SqliteStore {
  readonly #path: string;
  constructor(place: Place) {
    super(place);
    this.#path = place.path;
  }
  override withLock<T>(key: string, fn: () => Promise<T>, options?: WithLockOptions<T>) {
    return withFileLock(this.#path, key, fn, options);
  }
}

/** Locks each key, and writes the entries of all. */
export class WholeFile extends SqliteStore {
  override get(key: string): OidcCredentials | undefined {
    return this.#rows()[key];
  }
  override async put(key: string, entry: OidcCredentials): Promise<void> {
    const rows = this.#rows();
    await delay(2);
    super.put("all", { ...rows, [key]: entry } as unknown as OidcCredentials);
  }
  override delete(key: string): void {
    const { [key]: _, ...rows } = this.#rows();
    super.put("all", rows as unknown as OidcCredentials);
  }
  #rows(): Record<string, OidcCredentials> {
    return (super.get("all") ?? {}) as unknown as Record<string, OidcCredentials>;
  }
}
