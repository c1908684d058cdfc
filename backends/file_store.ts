import {
  assertWritable,
  type CredentialsDocument,
  emptyDocument,
  parseDocument,
  serializeDocument,
} from "./credentials_document.ts";
import { fileError } from "./file_error.ts";
import { withFileLock } from "./file_lock.ts";
import { folderOf, writeFileAtomic } from "./write_file_atomic.ts";

/** What {@linkcode FileStore} is told. */
export interface FileStoreOptions {
  /** Where the file is, or is to be. */
  path: string;
  /** Longest wait for a lock, in milliseconds. */
  lockTimeoutMs: number;
  /** Told, once per kind, of what a person should know. */
  onWarning: (message: string) => void;
}

/** The writing half of the file backend: loaded only when something is written or locked. */
export class FileStore {
  readonly #options: FileStoreOptions;
  readonly #warned = new Set<string>();

  constructor(options: FileStoreOptions) {
    this.#options = options;
  }

  /**
   * Reads, changes and replaces the file under its lock. `change` gives `false` when there is
   * nothing to write.
   */
  async update(change: (document: CredentialsDocument) => boolean): Promise<void> {
    const path = this.#prepare();
    await this.#locked(`${path}.lock`, () => {
      try {
        const document = this.#readForUpdate(path);
        if (!change(document)) return;
        assertWritable(document, path);
        writeFileAtomic(path, serializeDocument(document));
      } catch (error) {
        throw fileError("write", path, error);
      }
    });
  }

  /** Deletes the file without reading it. */
  async remove(): Promise<void> {
    const path = this.#prepare();
    await this.#locked(`${path}.lock`, () => {
      try {
        Deno.removeSync(path);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw fileError("delete", path, error);
      }
    });
  }

  /** Runs `fn` under the lock of one key, which is not the lock that a write takes. */
  async withKeyLock<T>(key: string, fn: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const path = this.#prepare();
    return await this.#locked(`${path}.${await shortHash(key)}.lock`, fn, signal);
  }

  #locked<T>(path: string, fn: () => T | Promise<T>, signal?: AbortSignal): Promise<T> {
    return withFileLock(path, fn, { timeoutMs: this.#options.lockTimeoutMs, signal });
  }

  /** Makes the folder, and gives the path of the file itself where the given one is a link. */
  #prepare(): string {
    const { path } = this.#options;
    try {
      const folder = folderOf(path);
      Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
      this.#tighten(folder);
      return resolveLink(path);
    } catch (error) {
      throw fileError("write", path, error);
    }
  }

  #readForUpdate(path: string): CredentialsDocument {
    let bytes: Uint8Array;
    try {
      bytes = Deno.readFileSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return emptyDocument();
      throw error;
    }
    this.#reportOpenMode("file", path);
    return parseDocument(bytes, path);
  }

  /** The module's own folder is closed to others; a folder of the caller's choice is left alone. */
  #tighten(folder: string): void {
    if (!/[/\\]\.validmind$/.test(folder)) return;
    if (this.#reportOpenMode("folder", folder)) Deno.chmodSync(folder, 0o700);
  }

  #reportOpenMode(kind: "file" | "folder", path: string): boolean {
    const { mode } = Deno.statSync(path);
    if (Deno.build.os === "windows" || mode === null || (mode & 0o077) === 0) return false;
    if (!this.#warned.has(kind)) {
      this.#warned.add(kind);
      this.#options.onWarning(
        `${path} could be read by others on this host (mode ${(mode & 0o777).toString(8)}); ` +
          `it is now closed to them. If others use this host, sign in again.`,
      );
    }
    return true;
  }
}

/** The file that a link leads to; the path itself when it is no link, or nothing is there yet. */
function resolveLink(path: string): string {
  try {
    return Deno.lstatSync(path).isSymlink ? Deno.realPathSync(path) : path;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound && !isLink(path)) return path;
    throw error;
  }
}

function isLink(path: string): boolean {
  try {
    return Deno.lstatSync(path).isSymlink;
  } catch {
    return false;
  }
}

/** Part of a file name for any key: 64 bits are plenty among one person's credentials. */
async function shortHash(key: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
  return new Uint8Array(digest).toHex().slice(0, 16);
}
