/** Stores over SQLite or a file, which one process can use, and several cannot; and one that they can. */
import {
  MemoryCredentialsBackend,
  type OidcCredentials,
  type OidcCredentialsBackend,
  withFileLock,
  type WithLockOptions,
} from "@validmind/auth";
import { delay } from "../../../backends/common/promises.ts";
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
    while (!this.#make(path)) {
      await delay(10, options?.signal);
    }
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
export class WholeFile implements OidcCredentialsBackend {
  readonly persistent = true;
  readonly #path: string;
  constructor({ path }: Place) {
    this.#path = path;
  }
  get(key: string): OidcCredentials | undefined {
    return this.#read()[key];
  }
  async put(key: string, entry: OidcCredentials): Promise<void> {
    const rows = this.#read();
    await new Promise((resolve) => setTimeout(resolve, 2));
    this.#write({ ...rows, [key]: entry });
  }
  delete(key: string): void {
    const { [key]: _, ...rows } = this.#read();
    this.#write(rows);
  }
  withLock<T>(key: string, fn: () => Promise<T>, options?: WithLockOptions<T>) {
    return withFileLock(this.#path, key, fn, options);
  }
  #read(): Record<string, OidcCredentials> {
    try {
      return JSON.parse(Deno.readTextFileSync(this.#path));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return {};
      throw error;
    }
  }
  #write(rows: Record<string, OidcCredentials>): void {
    const temp = `${this.#path}.${crypto.randomUUID()}`;
    Deno.writeTextFileSync(temp, JSON.stringify(rows));
    Deno.renameSync(temp, this.#path);
  }
}
