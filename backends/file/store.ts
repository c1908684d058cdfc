import { folderOf } from "../common/platform.ts";
import { delay } from "../common/promises.ts";
import type { OidcCredentials, PutOptions, WithLockOptions } from "../oidc_credentials_backend.ts";
import { OwnWrite } from "./beside_python.ts";
import { type CredentialsDocument, getEntry } from "./credentials_file.ts";
import { rowOf, setRow } from "./edit_document.ts";
import { shortHash } from "./lock.ts";
import {
  LockedFile,
  type LockedFileOptions,
  lockLost,
  type ReadForUpdate,
  tryRead,
} from "./locked_file.ts";
import { syncFolder } from "./replace_file.ts";
import { Reservations } from "./reservations.ts";
import { leftTemps, removeTemps } from "./reserved_file.ts";

/** Options of {@linkcode FileStore}. */
export interface FileStoreOptions extends LockedFileOptions {
  /**
   * How long a refresh of the Python library is given to end, in milliseconds.
   *
   * @default {1000} where the library is known to use the row, and else 100
   */
  pythonMs?: number;
}

/** About how long a refresh holds its lock. */
const REFRESH_MS = 20;
/** A write of the Python library takes about a millisecond, and on a busy machine some more. */
const PAUSE_MS = 5;
const PAUSES = 6;
/** The library may undo a write again, but hardly each time. */
const TRIES = 20;

/** The writing half of the file backend. It is loaded for the first write or lock. */
export class FileStore {
  readonly #file: LockedFile;
  readonly #reservations: Reservations;
  readonly #held = new Map<string, () => boolean>();

  constructor({ pythonMs, ...options }: FileStoreOptions) {
    this.#file = new LockedFile(options);
    this.#reservations = new Reservations(this.#file, pythonMs);
  }

  /** Sets one row. */
  async put(
    key: string,
    entry: OidcCredentials,
    { isReplaced = () => true }: PutOptions = {},
  ): Promise<void> {
    const { path, found } = this.#file.prepare();
    const reserved = this.#reservations.of(key);
    // Who has reserved keeps others out by the reserved file, too.
    if (reserved === undefined) this.#assertHeld(path, key);
    let isSet = false;
    let before: unknown;
    const set = (document: CredentialsDocument) => {
      before = rowOf(document, key);
      isSet = isReplaced(getEntry(document, key, path));
      if (isSet) setRow(document, key, entry);
      return isSet;
    };
    const options = { row: key, reserved: reserved?.file, found };
    try {
      await this.#file.write(
        path,
        (isHeld) => this.#file.change(path, set, { ...options, isHeld }),
      );
      if (reserved !== undefined && isSet) reserved.use = "none"; // the claimed row is gone
      if (isSet) await this.#outlast(path, key, entry, before);
    } catch (error) {
      reserved?.leaveUnfinished(key, entry);
      throw error;
    }
  }

  /** Checks that a write is possible, and keeps the space that a `put` under `key` will need. */
  async reserve(key: string, bytes: number): Promise<AsyncDisposable> {
    const { path } = this.#file.prepare();
    this.#assertHeld(path, key);
    return await this.#reservations.make(path, key, bytes);
  }

  /** Removes one row, and the temp files that a killed write left. */
  async delete(key: string): Promise<void> {
    const { path } = this.#file.resolve();
    const previous = this.#file.writes.forget(key);
    if (!this.#file.hasRow(path, key) && leftTemps(path).length === 0) return;
    this.#file.prepare();
    let before: unknown;
    await this.#file.writeAnyway(path, (isHeld, isLocked) => {
      const isDone = this.#file.change(path, (document) => {
        before = rowOf(document, key);
        if (!Object.hasOwn(document.credentials, key)) return false;
        return delete document.credentials[key];
      }, { isHeld, isLocked });
      if (isDone) removeTemps(path, key);
      return isDone;
    });
    if (before !== undefined) await this.#outlast(path, key, undefined, before, previous);
  }

  /** Deletes the file, whole or damaged, and the temp files that a killed write left. */
  async deleteAll(): Promise<void> {
    const { path } = this.#file.prepare();
    this.#file.writes.forgetAll();
    await this.#file.writeAnyway(path, (_isHeld, isLocked) => {
      this.#file.remove(path, isLocked);
      removeTemps(path);
      syncFolder(folderOf(path));
      return true;
    });
  }

  /** Runs `fn` under the lock of one key. A write takes another lock. */
  async withLock<T>(
    key: string,
    fn: () => Promise<T>,
    { signal, peek }: WithLockOptions<T>,
  ): Promise<T> {
    const { path } = this.#file.prepare();
    const run = async (isHeld: () => boolean) => {
      this.#held.set(key, isHeld);
      try {
        return await fn();
      } finally {
        this.#held.delete(key);
      }
    };
    return await this.#file.locked(lockPath(path, key), run, { paceMs: REFRESH_MS, signal, peek });
  }

  /**
   * Notes a write to a row, and makes it again where the Python library undoes it: that library has no lock,
   * and had read the file before the write. The wait for it takes the time of one of its writes, and is
   * left out where the file was never seen with a text of the library: then the next call looks.
   */
  async #outlast(
    path: string,
    key: string,
    entry: OidcCredentials | undefined,
    before: unknown,
    previous?: OwnWrite,
  ): Promise<void> {
    const { writes } = this.#file;
    const write = new OwnWrite(key, entry, { before, previous: writes.of(key) ?? previous });
    const watch = () => this.#watch(path, write);
    writes.add(write, () => this.#restore(path, write).then(watch));
    if (writes.isShared) await watch();
  }

  async #watch(path: string, write: OwnWrite): Promise<void> {
    for (let pauses = 0, times = 0; pauses < PAUSES && times < TRIES; pauses++) {
      await delay(PAUSE_MS);
      if (!this.#file.writes.isLast(write)) return;
      if (!write.isUndoneIn(tryRead(path) ?? {})) continue;
      await this.#restore(path, write);
      times++;
      pauses = 0;
    }
  }

  /** Makes a write again, where it is still undone. */
  async #restore(path: string, write: OwnWrite): Promise<void> {
    const apply = (document: CredentialsDocument, read: ReadForUpdate) => {
      if (!this.#file.writes.isLast(write) || !write.isUndoneIn(read)) return false;
      write.applyTo(document);
      return true;
    };
    await this.#file.write(path, (isHeld) => this.#file.change(path, apply, { isHeld }));
  }

  /** @throws {CredentialsBackendError} `backend_locked` where the key's lock excludes nobody any more. */
  #assertHeld(path: string, key: string): void {
    if (this.#held.get(key)?.() === false) throw lockLost(lockPath(path, key));
  }
}

function lockPath(path: string, key: string): string {
  return `${path}.${shortHash(key)}.lock`;
}
