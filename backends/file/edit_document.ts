import type { OidcCredentials } from "../oidc_credentials_backend.ts";
import {
  type CredentialsDocument,
  isRecord,
  newerVersion,
  type ReadDocument,
  unclaimed,
  unmarked,
  VERSION,
  withNumbers,
} from "./credentials_file.ts";

/** The document that the first write begins with. */
export function emptyDocument(): CredentialsDocument {
  return { version: VERSION, credentials: {} };
}

/** The text that a document is written as. */
export function serializeDocument(document: CredentialsDocument): string {
  return `${serialize(document)}\n`;
}

function serialize(value: unknown): string {
  return unmarked(JSON.stringify(value, null, 2));
}

/** Serialising a smaller document costs less than a search in its text. */
const LARGE_LENGTH = 64 * 1024;

/**
 * Writes a row into the text that its document was read from, and leaves the rest of the text as it is: to
 * serialise ten thousand rows takes twice as long as to parse them. Gives `undefined` where the text is
 * small, or not certain to have the row in one place.
 */
export function rowWriter(
  { document, text = "" }: Partial<ReadDocument> & Pick<ReadDocument, "document">,
  key: string,
): (() => string) | undefined {
  if (text.length < LARGE_LENGTH || !text.startsWith('{\n  "version": ')) return undefined;
  // Without a backslash in the text the key is in it as it is, so that it is the row's if it occurs once.
  const name = `"${key}"`;
  const at = text.indexOf(name);
  const isRow = !text.includes("\\") && isRecord(rowOf(document, key)) &&
    text.indexOf(name, at + 1) < 0;
  if (!isRow) return undefined;
  const start = at + name.length + 2;
  const end = text.indexOf("\n    }", start) + 6;
  try {
    JSON.parse(text.slice(start, end)); // a part of the row is no JSON, nor is more than the row
  } catch {
    return undefined;
  }
  return () => {
    const row = serialize(rowOf(document, key)).replaceAll("\n", "\n    ");
    return text.slice(0, start) + row + text.slice(end);
  };
}

/**
 * Sets a row under any key. Assignment would take "__proto__" for the prototype. A field whose value is the
 * one that was read stays as it is written.
 */
export function setRow(
  document: CredentialsDocument,
  key: string,
  entry: Readonly<Record<string, unknown>>,
): void {
  const old = Object.hasOwn(document.credentials, key) ? document.credentials[key] : undefined;
  const row = Object.entries(entry).map(([name, value]) => {
    const written = isRecord(old) && Object.hasOwn(old, name) ? old[name] : undefined;
    const isSame = written === value || typeof value !== "string" &&
        JSON.stringify(withNumbers(written)) === JSON.stringify(value);
    return [name, written !== undefined && isSame ? written : value];
  });
  Object.defineProperty(document.credentials, key, {
    value: Object.fromEntries(row),
    configurable: true,
    enumerable: true,
    writable: true,
  });
}

/**
 * Refuses to change a file that a newer program wrote.
 *
 * @throws {CredentialsBackendError} `backend_version`.
 */
export function assertWritable(document: CredentialsDocument, path: string): void {
  if (document.version > VERSION) throw newerVersion(path, document.version);
}

/**
 * Whether a text is a credentials file, whole or damaged, rather than another program's file. JSON of
 * another shape is another program's.
 */
export function looksLikeCredentials(text: string): boolean {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text.trim() === "" || text.includes('"credentials"');
  }
  if (!isRecord(value)) return false;
  return isRecord(value.credentials ?? {}) &&
    ("credentials" in value || Object.keys(value).every((name) => name === "version"));
}

/** An entry that could not be stored after its refresh token's predecessor was spent. */
export interface UnfinishedEntry {
  key: string;
  /** {@linkcode rowText} of the row that the entry is to replace. */
  replaces: string;
  entry: OidcCredentials;
}

/** The text of a row, which does not depend on the order of its fields, nor on a claim. */
export function rowText(document: CredentialsDocument, key: string): string {
  return textOf(rowOf(document, key));
}

/** The same of a row, or of `undefined` where there is none. */
export function textOf(row: unknown): string {
  const plain = isRecord(row) ? withNumbers(unclaimed(row)) as object : row; // compared by other processes, too
  return JSON.stringify(isRecord(plain) ? Object.entries(plain).sort() : plain) ?? "";
}

/** The row under a key, as it is in the file. */
export function rowOf(document: CredentialsDocument, key: string): unknown {
  return Object.hasOwn(document.credentials, key) ? document.credentials[key] : undefined;
}

/** The text that an unfinished entry is left as, beside the credentials file. */
export function serializeUnfinished(unfinished: UnfinishedEntry): string {
  return JSON.stringify({ unfinished });
}

/** The unfinished entry in a text, or `undefined` where it holds anything else. */
export function parseUnfinished(text: string): UnfinishedEntry | undefined {
  try {
    const { key, replaces, entry } = JSON.parse(text).unfinished;
    const isSound = typeof key === "string" && typeof replaces === "string" && isRecord(entry);
    return isSound ? { key, replaces, entry: entry as OidcCredentials } : undefined;
  } catch {
    return undefined;
  }
}
