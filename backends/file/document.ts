import { isObject } from "../common/printable.ts";
import { call, CredentialsBackendError, words } from "../credentials_backend_error.ts";
import type { OidcCredentials } from "../oidc_credentials_backend.ts";
import { fileError, isMissing, readOwnFile } from "./file_access.ts";

/** The highest version of the credentials file that this module writes. */
const VERSION = 1;

/** The credentials file as JSON: shared with the ValidMind Python library. */
export interface CredentialsDocument {
  version: number;
  credentials: Record<string, unknown>;
  [field: string]: unknown;
}

/** A document, and its file as it was before it was read: `undefined` where there is none. */
export interface ReadDocument {
  readonly document: CredentialsDocument;
  readonly info?: Deno.FileInfo;
}

/** The document in the file at `path`, or `undefined` where there is no file. */
export function readIfPresent(path: string): CredentialsDocument | undefined {
  try {
    return readDocument(path).document;
  } catch (error) {
    if (isMissing(path, error)) return undefined;
    throw fileError("read", path, error);
  }
}

/** The document, to be changed and written; an empty one where there is no file. */
export function readForUpdate(path: string): ReadDocument {
  try {
    return readDocument(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { document: emptyDocument() };
    throw error;
  }
}

/** The document that the first write begins with. */
export function emptyDocument(): CredentialsDocument {
  return { version: VERSION, credentials: {} };
}

function readDocument(path: string): ReadDocument {
  const { bytes, info } = readOwnFile(path);
  return { document: parseDocument(bytes, path), info };
}

/**
 * Parses the file's text. The error has no cause: V8's own message quotes the text around the fault, and
 * that text is tokens.
 *
 * @throws {CredentialsBackendError} `backend_corrupt`.
 */
export function parseDocument(bytes: Uint8Array, path: string): CredentialsDocument {
  let value: unknown;
  try {
    value = parseExactly(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw corrupt(path, "it is not JSON in UTF-8");
  }
  if (!isRecord(value)) throw corrupt(path, "it is not a JSON object");
  // A wrong path may name another program's JSON file, which must not get credentials written into it.
  const isEmpty = Object.keys(value).every((name) => name === "version" || name === "credentials");
  const version = value.version ?? VERSION;
  const credentials = value.credentials ?? (isEmpty ? {} : undefined);
  if (typeof version !== "number" || !Number.isInteger(version) || version < 1) {
    throw corrupt(path, `its "version" is not a positive whole number`);
  }
  if (isRecord(credentials)) return { ...value, version, credentials };
  throw version > VERSION
    ? newerVersion(path, version)
    : corrupt(path, `it has no "credentials" object`);
}

/** A part of JSON that TypeScript does not know yet. */
const { rawJSON, isRawJSON } = JSON as unknown as {
  rawJSON(text: string): object;
  isRawJSON(value: unknown): boolean;
};

/** A number that JavaScript cannot hold is a raw one, so that it is written as it was read. */
function parseExactly(text: string): unknown {
  const keep = (_name: string, value: unknown, context?: { source?: string }) => {
    const { source } = context ?? {};
    const isOdd = typeof value === "number" && source !== undefined && String(value) !== source;
    return isOdd ? rawJSON(source) : value;
  };
  return JSON.parse(text, keep);
}

/** The text that a document is written as. */
export function serializeDocument(document: CredentialsDocument): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** The row under a key, as it is in the document. Only an own property: a key may be "constructor". */
export function rowOf({ credentials }: CredentialsDocument, key: string): unknown {
  return Object.hasOwn(credentials, key) ? credentials[key] : undefined;
}

/**
 * A copy of the entry in a row, with JavaScript's nearest number for each raw one; `undefined` where there
 * is none. `null` means absent.
 *
 * @throws {CredentialsBackendError} `backend_corrupt`.
 */
export function getEntry(
  document: CredentialsDocument,
  key: string,
  path: string,
): OidcCredentials | undefined {
  const entry = rowOf(document, key) ?? undefined;
  if (entry === undefined) return undefined;
  if (isRecord(entry)) return plain(entry) as OidcCredentials;
  throw corrupt(
    path,
    `its entry for "${key}" is no object`,
    words`clear it: ${call("clearOidcCredentials")}.`,
  );
}

/** Sets a row under any key. Assignment would take "__proto__" for the prototype. */
export function setRow(
  document: CredentialsDocument,
  key: string,
  entry: Readonly<Record<string, unknown>>,
): void {
  Object.defineProperty(document.credentials, key, {
    value: entry,
    configurable: true,
    enumerable: true,
    writable: true,
  });
}

function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value));
}

/**
 * Refuses to change a file that a newer program wrote.
 *
 * @throws {CredentialsBackendError} `backend_version`.
 */
export function assertWritable({ version }: CredentialsDocument, path: string): void {
  if (version > VERSION) throw newerVersion(path, version);
}

/** An empty file, one with nothing but a version, or one that begins like a credentials file. */
const CREDENTIALS = /^(\{[^{}[\]]*"credentials"\s*:\s*\{.*|\{\s*("version"\s*:\s*\d+\s*)?\}|)$/s;

/** Whether a text is a credentials file, whole or damaged, rather than another program's file. */
export function looksLikeCredentials(text: string): boolean {
  return CREDENTIALS.test(text.trim());
}

function newerVersion(path: string, version: number): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_version",
    `Cannot change ${path}: it has version ${version}, and this release writes version ${VERSION}. ` +
      `Update @validmind/auth, or use another path.`,
  );
}

/** Whether a value is a JSON object, and not a number that JavaScript cannot hold. */
function isRecord(value: unknown): value is Record<string, unknown> {
  return isObject(value) && !isRawJSON(value);
}

function corrupt(
  path: string,
  reason: string,
  way = words`delete it and sign in afresh: ${call("clearOidcCredentials", { all: true })} deletes
    a damaged credentials file, and no other.`,
): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_corrupt",
    words`Cannot read credentials from ${path}: ${reason}. Nothing was changed. Repair the file, or
      ${way}`,
  );
}
