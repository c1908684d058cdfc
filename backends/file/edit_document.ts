import type { OidcCredentials } from "../oidc_credentials_backend.ts";
import { type CredentialsDocument, isRecord, newerVersion, VERSION } from "./credentials_file.ts";

/** The document that the first write begins with. */
export function emptyDocument(): CredentialsDocument {
  return { version: VERSION, credentials: {} };
}

/** The text that a document is written as. */
export function serializeDocument(document: CredentialsDocument): string {
  return JSON.stringify(document, null, 2) + "\n";
}

/** Sets a row under any key. Assignment would take "__proto__" for the prototype. */
export function setRow(document: CredentialsDocument, key: string, entry: OidcCredentials): void {
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
