import { CredentialsBackendError } from "./credentials_backend_error.ts";
import type { OidcCredentials } from "./oidc_credentials_backend.ts";

/** The highest version of the credentials file that this module writes. */
const VERSION = 1;

/** The credentials file as JSON: shared with the ValidMind Python library. */
export interface CredentialsDocument {
  version: number;
  credentials: Record<string, unknown>;
  [field: string]: unknown;
}

const NO_CREDENTIALS = `it has no "credentials" object`;

/** A file without credentials, as the first write begins with. */
export function emptyDocument(): CredentialsDocument {
  return { version: VERSION, credentials: {} };
}

/**
 * Reads the file's bytes. Bytes that are not UTF-8 are refused rather than replaced: a rewrite
 * would make the replacement permanent.
 *
 * @throws {CredentialsBackendError} `backend_corrupt`, without a cause: V8's own message quotes the
 * text around the fault, and that text is tokens.
 */
export function parseDocument(bytes: Uint8Array, path: string): CredentialsDocument {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw corrupt(path, "it is not JSON in UTF-8");
  }
  if (!isRecord(value)) throw corrupt(path, "it is not a JSON object");
  // Any other JSON file, which a wrong path names, is not to get credentials written into it.
  const isEmpty = Object.keys(value).every((name) => name === "version" || name === "credentials");
  const version = value.version ?? VERSION;
  const credentials = value.credentials ?? (isEmpty ? {} : undefined);
  if (typeof version !== "number" || !Number.isInteger(version) || version < 1) {
    throw corrupt(path, `its "version" is not a positive whole number`);
  }
  if (!isRecord(credentials)) {
    throw version > VERSION ? newerVersion(path, version) : corrupt(path, NO_CREDENTIALS);
  }
  return { ...value, version, credentials };
}

/** The file's text after a change. */
export function serializeDocument(document: CredentialsDocument): string {
  return JSON.stringify(document, null, 2) + "\n";
}

/**
 * One row, or `undefined` when there is none (`null` means absent).
 *
 * @throws {CredentialsBackendError} `backend_corrupt` when the row is not an object.
 */
export function getEntry(
  document: CredentialsDocument,
  key: string,
  path: string,
): OidcCredentials | undefined {
  // An own property: a key may be "constructor".
  const entry = Object.hasOwn(document.credentials, key) ? document.credentials[key] : undefined;
  if (entry === undefined || entry === null) return undefined;
  if (!isRecord(entry)) throw corrupt(path, `its entry for "${key}" is not an object`);
  return entry as OidcCredentials;
}

/** Sets one row, whatever its key: assignment would take "__proto__" for the prototype. */
export function setEntry(
  document: CredentialsDocument,
  key: string,
  entry: OidcCredentials,
): void {
  Object.defineProperty(document.credentials, key, {
    value: entry,
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
 * Whether bytes that could not be understood may be thrown away: a damaged credentials file, and not
 * somebody else's file that a wrong path names.
 */
export function looksLikeCredentials(bytes: Uint8Array): boolean {
  return bytes.length === 0 || new TextDecoder().decode(bytes).includes('"credentials"');
}

function newerVersion(path: string, version: number): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_version",
    `Cannot change ${path}: it has version ${version}, and this release writes version ${VERSION}. ` +
      `Update @validmind/auth, or use another path.`,
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function corrupt(path: string, reason: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_corrupt",
    `Cannot read credentials from ${path}: ${reason}. Nothing was changed. Repair the file, or ` +
      `sign in afresh after clearOidcCredentials({ all: true }), which deletes it.`,
  );
}
