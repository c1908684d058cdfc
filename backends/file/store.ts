import { isOpen, isSameFile, isSameText, lookIfPresent } from "../common/judge_path.ts";
import { dirname } from "../common/paths.ts";
import { warnOnStderr } from "../common/runtime.ts";
import { CredentialsBackendError, SIGN_OUT_OF_ALL } from "../credentials_backend_error.ts";
import type { OidcCredentials, PutOptions, WithLockOptions } from "../oidc_credentials_backend.ts";
import {
  assertWritable,
  type CredentialsDocument,
  getEntry,
  readDocument,
  resolveLink,
  serializeDocument,
} from "./document.ts";
import { fileError } from "./faults.ts";
import { lockLost, shortHash, whileLocked, withKeyLock } from "./lock.ts";
import { assertDeletable, leftFiles, removeFile, tryRemove } from "./remove_file.ts";
import {
  assertReplaceable,
  closeFolder,
  makeFolder,
  proveWrite,
  replaceFile,
  type ReplaceOptions,
  syncFolder,
  type WriteProof,
} from "./replace_file.ts";

export { withKeyLock };

/** Options of {@linkcode FileStore}. */
export interface FileStoreOptions {
  /** The path of the credentials file. */
  path: string;
  /** Longest wait for a lock, in milliseconds. */
  lockTimeoutMs: number | undefined;
  /** The keys whose lock is held. */
  held: Map<string, HeldKey>;
}

/** The lock of one key, while it is held. */
export interface HeldKey {
  /** Throws where the lock excludes others no more: its file has vanished, perhaps with the folder. */
  assertHeld(): void;
  readonly proof: WriteProof;
}

/** A program without the lock may write between a read and a rename, but hardly each time. */
const TRIES = 20;
/** Room for a coming entry. */
const ENTRY_BYTES = 16 * 1024;

/** The writing half of the file backend. It is loaded for the first write or lock. */
export class FileStore {
  readonly #path: string;
  readonly #options: FileStoreOptions;
  #hasWarned = false;

  constructor(options: FileStoreOptions) {
    this.#path = options.path;
    this.#options = options;
  }

  /** Sets one row. Gives whether it did. */
  async put(
    key: string,
    entry: OidcCredentials,
    { isReplaced = () => true }: PutOptions = {},
  ): Promise<boolean> {
    const held = this.#options.held.get(key);
    held?.assertHeld(); // before a folder that has vanished is made anew
    const path = this.#prepare();
    const set = (document: CredentialsDocument) => {
      if (!isReplaced(getEntry(document, key, path))) return false;
      document.credentials[key] = entry;
      return true;
    };
    return await this.#locked(path, () => this.#change(path, set, { proof: held?.proof }));
  }

  /** Removes one row, and the temp files that a killed write left. */
  async delete(key: string): Promise<void> {
    const path = resolveLink(this.#path);
    const { document } = readDocument(path);
    if (!(key in document.credentials) && leftFiles(path).length === 0) return;
    this.#prepare();
    const remove = ({ credentials }: CredentialsDocument) =>
      key in credentials && delete credentials[key];
    await this.#lockedOrNot(path, (isLocked) => {
      try {
        this.#change(path, remove, { isLocked });
      } catch (error) {
        this.#deleteWithoutSpace(path, key, isLocked, error as CredentialsBackendError);
      }
      leftFiles(path).forEach(tryRemove);
    });
  }

  /** On a full disk removes the whole file, if it has nothing but this row. It is never written in place. */
  #deleteWithoutSpace(
    path: string,
    key: string,
    isLocked: boolean,
    error: CredentialsBackendError,
  ) {
    if (error.code !== "backend_full") throw error;
    const { credentials, version: _, ...others } = readDocument(path).document;
    const kept = [...Object.keys(credentials).filter((one) => one !== key), ...Object.keys(others)];
    if (kept.length === 0) return removeFile(path, this.#path, isLocked);
    throw new CredentialsBackendError("backend_full", {
      ...error,
      cause: error.cause,
      remedy: "It has other entries, too. Free some space and try again. Or remove all of them: " +
        `delete the file by hand, or with ${SIGN_OUT_OF_ALL}.`,
    });
  }

  /** Deletes the file, whole or damaged, and what killed writes left beside it. */
  async deleteAll(): Promise<void> {
    const path = this.#prepare();
    await this.#lockedOrNot(path, (isLocked) => {
      try {
        assertDeletable(path, this.#path);
        removeFile(path, this.#path, isLocked);
      } catch (error) {
        throw fileError("delete", path, error);
      }
      leftFiles(path).forEach(tryRemove);
      syncFolder(dirname(path));
    });
  }

  /** Runs `fn` under the lock of one key, once a write is known to be possible. */
  async withLock<T>(
    key: string,
    fn: () => Promise<T>,
    options: WithLockOptions<T>,
  ): Promise<T> {
    const path = this.#prepare();
    const run = async (isHeld: () => boolean) => {
      const proof = await this.#prove(path, key);
      const assertHeld = () => {
        if (!isHeld()) throw lockLost(path);
      };
      this.#options.held.set(key, { assertHeld, proof });
      try {
        return await fn();
      } finally {
        this.#options.held.delete(key);
        proof.end();
      }
    };
    return await withKeyLock(path, key, run, {
      ...options,
      timeoutMs: this.#options.lockTimeoutMs,
    });
  }

  async #prove(path: string, key: string) {
    await this.#locked(path, () => {}); // a write needs this lock, too
    try {
      const { document, info } = readDocument(path);
      assertWritable(document, path);
      const bytes = (info?.size ?? 0) + ENTRY_BYTES;
      const temp = `${path}.${shortHash(key)}.tmp`;
      assertReplaceable(path, temp);
      return await proveWrite(temp, bytes);
    } catch (error) {
      throw fileError("write", path, error);
    }
  }

  /** Makes the folder. Gives the path of the file itself, also where the given path is a link. */
  #prepare() {
    const path = resolveLink(this.#path); // judged before anything is made
    makeFolder(this.#path);
    closeFolder(dirname(this.#path));
    return path;
  }

  /** Runs a write of the file while no other program of this module writes it. */
  async #locked<T>(path: string, write: () => T) {
    return await whileLocked(`${path}.lock`, write, { timeoutMs: this.#options.lockTimeoutMs });
  }

  /** Runs a removal also where a neighbour has planted the lock file, or holds it for ever. */
  async #lockedOrNot(path: string, remove: (isLocked: boolean) => void) {
    let isLocked = false;
    try {
      await this.#locked(path, () => {
        isLocked = true;
        remove(true);
      });
    } catch (error) {
      const { code } = error as CredentialsBackendError;
      if (isLocked || code === "permission_required") throw error;
      remove(false);
    }
  }

  /**
   * Reads, changes and replaces the file. `change` returns whether to write, as this does. A program without
   * this lock may write the file meanwhile: then its content is read and changed anew.
   */
  #change(
    path: string,
    change: (document: CredentialsDocument) => boolean,
    options: ReplaceOptions,
  ) {
    try {
      for (let tries = 0;; tries++) {
        const { document, info } = readDocument(path);
        if (!change(document)) return false;
        assertWritable(document, path);
        const text = serializeDocument(document);
        const isUnchanged = () => tries === TRIES || isSameState(info, lookIfPresent(path));
        if (!replaceFile(path, text, { ...options, isUnchanged })) continue;
        if (info && isOpen(info)) this.#warnOfMode(path, info);
        return true;
      }
    } catch (error) {
      throw fileError("write", path, error);
    }
  }

  #warnOfMode(path: string, before: Deno.FileInfo) {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const mode = ((before.mode ?? 0) & 0o777).toString(8);
    const advice = "If others use this host, sign in again.";
    warnOnStderr(
      `${path} could be read by others on this host (mode ${mode}). ${advice}`,
    );
  }
}

/** Whether a file has the same content as before, as far as its information tells. */
function isSameState(before: Deno.FileInfo | undefined, now: Deno.FileInfo | undefined) {
  if (!before || !now) return before === now;
  return isSameFile(before, now) && isSameText(before, now);
}
