import { delay } from "../common/promises.ts";
import type { OidcCredentials } from "../oidc_credentials_backend.ts";
import { claimRow, type LibraryUse, libraryUse, unclaimRow } from "./beside_python.ts";
import type { CredentialsDocument } from "./credentials_file.ts";
import {
  assertWritable,
  rowText,
  rowWriter,
  serializeDocument,
  serializeUnfinished,
  setRow,
} from "./edit_document.ts";
import { fileError } from "./file_access.ts";
import { shortHash } from "./lock.ts";
import { type LockedFile, type ReadForUpdate, readForUpdate, tryRead } from "./locked_file.ts";
import { tempPath } from "./replace_file.ts";
import { readUnfinished, ReservedFile, untilReserved } from "./reserved_file.ts";

/** Room for the indentation of a coming entry, and for a key that other rows get meanwhile. */
const HEADROOM_BYTES = 4096;
/** The Python library reads a refresh token, finds the provider's endpoints, and sends it. */
const PYTHON_REFRESH_MS = 1000;
/** The same where nothing tells of the library: as long as it takes on one machine with its provider. */
const POSSIBLE_REFRESH_MS = 100;
/** Between two looks for the end of its refresh. */
const LOOK_MS = 20;

/** A reserved file, and the row that its entry will replace. */
export class Reservation {
  readonly file: ReservedFile;
  /** The text of that row. */
  readonly replaces: string;
  /** The row is claimed against the Python library where that may use it. */
  use: LibraryUse;

  constructor(file: ReservedFile, replaces: string, use: LibraryUse) {
    this.file = file;
    this.replaces = replaces;
    this.use = use;
  }

  /**
   * Leaves an entry in the reserved file, where it could not be stored: the file is open, so that this
   * works also in a folder that has become unwritable. The next reservation stores it, instead of
   * spending the refresh token of the old entry once more.
   */
  leaveUnfinished(key: string, entry: OidcCredentials): void {
    this.use = "none"; // nobody else may send a token that is used up
    try {
      this.file.leave(serializeUnfinished({ key, replaces: this.replaces, entry }));
    } catch {
      // The error of the write says enough.
    }
  }
}

/** The reserved files of this process beside one credentials file, by the keys of their entries. */
export class Reservations {
  readonly #file: LockedFile;
  readonly #pythonMs: number | undefined;
  readonly #made = new Map<string, Reservation>();
  #hasReserved = false;

  /** @param pythonMs How long a refresh of the Python library is given to end, in milliseconds. */
  constructor(file: LockedFile, pythonMs: number | undefined) {
    this.#file = file;
    this.#pythonMs = pythonMs;
  }

  of(key: string): Reservation | undefined {
    return this.#made.get(key);
  }

  /**
   * Reserves the space of a coming entry. Waits while another process has reserved the same: the key's
   * lock does not exclude it where somebody has removed the lock file.
   */
  async make(path: string, key: string, bytes: number): Promise<AsyncDisposable> {
    this.#made.get(key)?.file.release();
    const temp = tempPath(`${path}.${shortHash(key)}`);
    const attempt = async () => {
      let made: Reservation | undefined;
      await this.#file.write(path, (isHeld) => {
        if (!this.#finish(path, key, temp, isHeld)) return false;
        made = this.#tryReserve(path, key, temp, bytes);
        return made === undefined || made.use === "none" || this.#claim(path, key, made, isHeld);
      });
      return made;
    };
    const made = await untilReserved(temp, this.#file.lockTimeoutMs, attempt);
    const kept = this.#keep(path, key, made);
    try {
      await made.file.sync();
    } catch (error) {
      await kept[Symbol.asyncDispose]();
      throw fileError("write", path, error);
    }
    if (made.use !== "none") await this.#untilRefreshed(path, key, made);
    return kept;
  }

  #tryReserve(path: string, key: string, temp: string, bytes: number): Reservation | undefined {
    try {
      const read = readForUpdate(path);
      const { document } = read;
      assertWritable(document, path);
      // A text of which one row is written anew keeps its size.
      const size = rowWriter(read, key) === undefined
        ? new TextEncoder().encode(serializeDocument(document)).length
        : read.info!.size;
      const reserved = ReservedFile.create(temp, size + bytes + HEADROOM_BYTES);
      if (reserved === undefined) return undefined;
      return new Reservation(reserved, rowText(document, key), this.#useOf(read, key));
    } catch (error) {
      throw fileError("write", path, error);
    }
  }

  #claim(path: string, key: string, { file }: Reservation, isHeld: () => boolean): boolean {
    let isDone = false;
    const claim = (document: CredentialsDocument, read: ReadForUpdate) =>
      this.#useOf(read, key) !== "none" && claimRow(document, key);
    try {
      return isDone = this.#file.change(path, claim, { row: key, isHeld, isLasting: false });
    } finally {
      if (!isDone) file.release();
    }
  }

  #useOf(read: ReadForUpdate, key: string): LibraryUse {
    return libraryUse(read, key, this.#file.path);
  }

  /**
   * Waits while the Python library may be refreshing a row: it may have read the row before the claim. Ends
   * where the library has stored another one.
   */
  async #untilRefreshed(path: string, key: string, { replaces, use }: Reservation): Promise<void> {
    const isKnown = use === "known";
    const ms = this.#pythonMs ?? (isKnown ? PYTHON_REFRESH_MS : POSSIBLE_REFRESH_MS);
    // Before its first request a process loads code and asks for the endpoints, which takes as long. The
    // first timer of a process takes Deno a tenth of a refresh.
    const isFirst = !this.#hasReserved;
    this.#hasReserved = true;
    if (!isKnown) return isFirst ? undefined : await delay(ms);
    const end = performance.now() + ms;
    while (performance.now() < end) {
      await delay(LOOK_MS);
      const read = tryRead(path);
      if (read !== undefined && rowText(read.document, key) !== replaces) return;
    }
  }

  async #unclaim(path: string, key: string): Promise<void> {
    const unclaim = (document: CredentialsDocument) => unclaimRow(document, key);
    const how = { row: key, isLasting: false };
    await this.#file.write(path, (isHeld) => this.#file.change(path, unclaim, { ...how, isHeld }));
  }

  /** Stores an entry that an earlier process could not store, unless its row has changed since. */
  #finish(path: string, key: string, temp: string, isHeld: () => boolean): boolean {
    const unfinished = readUnfinished(temp);
    if (unfinished?.key !== key) return true;
    return this.#file.change(path, (document) => {
      if (rowText(document, key) !== unfinished.replaces) return false;
      setRow(document, key, unfinished.entry);
      return true;
    }, { isHeld });
  }

  /** Keeps a reserved file for the next `put` under `key`, until the reservation ends. */
  #keep(path: string, key: string, made: Reservation): AsyncDisposable {
    this.#made.set(key, made);
    const end = async () => {
      if (this.#made.get(key) === made) this.#made.delete(key);
      try {
        made.file.release();
        if (made.use !== "none") await this.#unclaim(path, key);
      } catch {
        // The file holds zeros, and the next reservation replaces it. A claim binds only other programs.
      }
    };
    return { [Symbol.asyncDispose]: end };
  }
}
