import { folderNeeds, folderOf } from "../common/platform.ts";
import { credentialsPath } from "../file.ts";
import type { BackendPermission, WithLockOptions } from "../oidc_credentials_backend.ts";
import { shortHash, withKeyLock } from "./lock.ts";

/** The options of a store that has no locks of its own. */
export interface LockFolderOptions {
  readonly lockFolder?: string | undefined;
  readonly lockTimeoutMs?: number | undefined;
}

/** The folder of the lock files of a store that has no locks of its own. */
export class LockFolder {
  /** The permissions that a lock takes. */
  readonly needs: BackendPermission[];
  readonly #base: string;
  readonly #timeoutMs: number;

  /**
   * @param kind The kind of the store, as the names of its files have it.
   * @param place The store itself: each one has locks of its own.
   */
  constructor(
    kind: string,
    place: string,
    { lockFolder, lockTimeoutMs = 30_000 }: LockFolderOptions,
  ) {
    const folder = lockFolder ?? folderOf(credentialsPath());
    this.needs = folderNeeds(folder, lockFolder === undefined);
    this.#base = `${folder}/${kind}.${shortHash(place)}`;
    this.#timeoutMs = lockTimeoutMs;
  }

  /** Runs `fn` while no other process that shares the folder holds the lock of the same key. */
  async run<T>(key: string, fn: () => Promise<T>, options: WithLockOptions<T>): Promise<T> {
    return await withKeyLock(this.#base, key, fn, { ...options, timeoutMs: this.#timeoutMs });
  }
}
