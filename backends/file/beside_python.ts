import { isGranted } from "../common/platform.ts";
import type { OidcCredentials } from "../oidc_credentials_backend.ts";
import {
  CLAIM,
  type CredentialsDocument,
  isRecord,
  type ReadDocument,
  recalls,
  unclaimed,
} from "./credentials_file.ts";
import { emptyDocument, rowOf, rowText, setRow, textOf } from "./edit_document.ts";

/** A claimed row looks valid to the Python library for this time. */
const CLAIM_MS = 10_000;

/** The field of a file that tells the day on which this module has last met a text of the library in it. */
const SEEN = "python_seen";
/** Somebody who uses the library at all uses it more often. */
const USED_MS = 30 * 24 * 60 * 60 * 1000;

/** Notes in a document that the Python library writes the file, for the processes to come. */
export function noteLibrary(document: CredentialsDocument): void {
  document[SEEN] = new Date().toISOString().slice(0, 10);
}

function isUsedByLibrary(document: CredentialsDocument): boolean {
  return Date.now() - Date.parse(`${document[SEEN]}`) < USED_MS;
}

/** Whether the Python library may use a row: `known` where it has written the row or, of late, the file. */
export type LibraryUse = "none" | "possible" | "known";

/** A row that the library has written has no scope. Its file has one place, and its rows one form of key. */
export function libraryUse(
  { document, isOfPython }: Partial<ReadDocument> & Pick<ReadDocument, "document">,
  key: string,
  path: string,
): LibraryUse {
  const row = rowOf(document, key);
  if (!isRecord(row) || typeof unclaimed(row).refresh_token !== "string") return "none";
  if (row.scope === undefined || isOfPython || isUsedByLibrary(document)) return "known";
  const { issuer, client_id, audience } = row;
  const isOfLibrary = [issuer, client_id, audience].filter(Boolean).join("|") === key;
  return isOfLibrary && LIBRARY_FILE.test(path) ? "possible" : "none";
}

/** The path of the library's file, in any home. */
const LIBRARY_FILE = /(^|[/\\])\.validmind[/\\]credentials\.json$/;

/**
 * Hides the refresh token of a row from the Python library, which has no lock: it must not send a token
 * that this module is about to send. For some seconds the row looks valid to it, or it would ask the
 * person to sign in.
 *
 * @returns Whether the document has changed.
 */
export function claimRow(document: CredentialsDocument, key: string): boolean {
  const row = rowOf(document, key);
  if (!isRecord(row) || typeof row.refresh_token !== "string") return false;
  const { refresh_token, expires_at = null } = row;
  const end = Date.now() + SKEW_MS + CLAIM_MS;
  setRow(document, key, {
    ...row,
    refresh_token: null,
    expires_at: new Date(end).toISOString(),
    [CLAIM]: { refresh_token, expires_at },
  });
  return true;
}

/** The Python library counts a token as expired for its last 120 seconds. */
const SKEW_MS = 120_000;

/**
 * Shows the refresh token of a claimed row again.
 *
 * @returns Whether the document has changed.
 */
export function unclaimRow(document: CredentialsDocument, key: string): boolean {
  const row = rowOf(document, key);
  if (!isRecord(row) || unclaimed(row) === row) return false;
  setRow(document, key, unclaimed(row));
  return true;
}

/** Enough for the rows that the Python library can have read before its write. */
const MAX_EARLIER = 8;
/** The Python library takes less time between its read of the file and its write. */
const STALE_MS = 5000;

/** The last write of this process to a row. */
export class OwnWrite {
  /** `undefined`: the row was removed. */
  readonly entry: OidcCredentials | undefined;
  readonly key: string;
  /** The row before this write and before earlier ones, with the time at which each was replaced. */
  readonly #earlier: readonly { row: unknown; replacedAt: number }[];

  constructor(
    key: string,
    entry: OidcCredentials | undefined,
    { before, previous }: { before: unknown; previous?: OwnWrite | undefined },
  ) {
    this.key = key;
    this.entry = entry && { ...entry };
    const earlier = previous === undefined ? [] : previous.#earlier;
    this.#earlier = [{ row: before, replacedAt: Date.now() }, ...earlier].slice(0, MAX_EARLIER);
  }

  /**
   * Whether the Python library has written the row as it was a moment ago, before this write: it has no
   * lock, and had read the file by then. A state that was replaced long before says something else. No
   * row, as before a sign-in of some hours ago, says that the person has signed out.
   */
  isUndoneIn({ document, info, isOfPython }: Partial<ReadDocument>): boolean {
    if (!isOfPython) return false;
    const writtenAt = info?.mtime?.getTime() ?? 0;
    const text = rowText(document!, this.key);
    return text !== this.#text() &&
      this.#earlier.some(({ row, replacedAt }) =>
        Math.abs(writtenAt - replacedAt) <= STALE_MS && textOf(row) === text
      );
  }

  /** Makes the write again in a document. */
  applyTo(document: CredentialsDocument): void {
    if (this.entry === undefined) delete document.credentials[this.key];
    else setRow(document, this.key, this.entry);
  }

  #text(): string {
    const document = emptyDocument();
    this.applyTo(document);
    return rowText(document, this.key);
  }
}

const byPath = new Map<string, LastWrites>();

/** The last writes of this process to one file, by key. All stores of the file share them. */
export class LastWrites {
  /** Whether a program without the lock was seen to write the file. */
  isShared = false;
  readonly #isRelative: boolean;
  readonly #rows = new Map<
    string,
    { write: OwnWrite; restore: () => Promise<void>; base: string | undefined }
  >();

  private constructor(path: string) {
    this.#isRelative = !/^([A-Za-z]:)?[/\\]/.test(path);
  }

  static to(path: string): LastWrites {
    const found = byPath.get(path);
    if (found !== undefined) return found;
    const made = new LastWrites(path);
    byPath.set(path, made);
    recalls.set(path, (key, read) => made.#recall(key, read));
    return made;
  }

  of(key: string): OwnWrite | undefined {
    return this.#rowOf(key)?.write;
  }

  /** A write to the file of another working directory is none to this one. */
  #rowOf(key: string) {
    const row = this.#rows.get(key);
    return row !== undefined && row.base !== undefined && row.base === this.#base()
      ? row
      : undefined;
  }

  /** The folder that the path is resolved against: empty for an absolute one. */
  #base(): string | undefined {
    if (!this.#isRelative) return "";
    return isGranted({ name: "read", path: "." }) ? Deno.cwd() : undefined;
  }

  add(write: OwnWrite, restore: () => Promise<void>): void {
    this.#rows.set(write.key, { write, restore, base: this.#base() });
  }

  /** Whether this process has not written the row again, nor forgotten it. */
  isLast(write: OwnWrite): boolean {
    return this.of(write.key) === write;
  }

  forget(key: string): OwnWrite | undefined {
    const write = this.of(key);
    this.#rows.delete(key);
    return write;
  }

  forgetAll(): void {
    this.#rows.clear();
  }

  /** The last write to a row, where the Python library has undone it. Begins to make it again. */
  #recall(key: string, read: ReadDocument): { entry: OidcCredentials | undefined } | undefined {
    const row = this.#rowOf(key);
    if (row === undefined || !row.write.isUndoneIn(read)) return undefined;
    this.isShared = true;
    row.restore().catch(() => undefined); // the next call finds it undone still
    return { entry: structuredClone(row.write.entry) };
  }
}
