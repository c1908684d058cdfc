import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { OidcCredentials } from "../oidc_credentials_backend.ts";
import { fileError, isMissing, readOwnFile } from "./file_access.ts";

/** The highest version of the credentials file that this module writes. */
export const VERSION = 1;
const NO_JSON = "it is not JSON in UTF-8";
const NO_CREDENTIALS = `it has no "credentials" object`;
/** Parsing a smaller file costs less than keeping its document. */
const SMALL_BYTES = 64 * 1024;
/** Two changes within this time may have the same timestamp: the longest tick of a file system. */
const RACY_MS = 2000;
/** Ten times as fast as a strict one. */
const DECODER = new TextDecoder();
/** Replacing bytes that are not UTF-8 would become permanent with the next write. */
const STRICT = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads the credentials file. The document of a large file is kept, and used again while the file has
 * the same device, number, size and time.
 */
export class CredentialsFile {
  readonly #path: string;
  #kept: { state: string; read: ReadDocument } | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Whether the last document is kept. */
  get isKept(): boolean {
    return this.#kept !== undefined;
  }

  /** The document, or `undefined` where there is no file. */
  read(): CredentialsDocument | undefined {
    return this.#read()?.document;
  }

  /** A row as this process has written it last, where the Python library has undone that. */
  get(key: string): OidcCredentials | undefined {
    const read = this.#read();
    if (read === undefined) return undefined;
    const own = recalls.get(this.#path)?.(key, read);
    if (own !== undefined) return own.entry;
    const entry = getEntry(read.document, key, this.#path);
    return this.isKept && entry ? structuredClone(entry) : entry;
  }

  #read(): ReadDocument | undefined {
    try {
      const kept = this.#kept;
      const isSame = kept !== undefined && kept.state === settledState(Deno.statSync(this.#path));
      return isSame ? kept.read : this.#readAnew();
    } catch (error) {
      if (isMissing(this.#path, error)) return undefined;
      throw fileError("read", this.#path, error);
    }
  }

  #readAnew(): ReadDocument {
    this.#kept = undefined;
    const read = readDocument(this.#path);
    const state = read.info.size < SMALL_BYTES ? undefined : settledState(read.info);
    if (state !== undefined) this.#kept = { state, read: { ...read, text: "" } };
    return read;
  }
}

/**
 * Each gives an undone write of this process to a row, and makes it again. By the path of the file; empty
 * until this process has written.
 */
export const recalls: Map<
  string,
  (key: string, read: ReadDocument) => { entry: OidcCredentials | undefined } | undefined
> = new Map();

/** The credentials file as JSON: shared with the ValidMind Python library. */
export interface CredentialsDocument {
  version: number;
  credentials: Record<string, unknown>;
  [field: string]: unknown;
}

/** A text that changes with the file's content; `undefined` while the last change is too recent. */
function settledState(info: Deno.FileInfo): string | undefined {
  const { ino, mtime } = info;
  if (!ino || mtime === null || Date.now() - mtime.getTime() < RACY_MS) return undefined;
  return fileState(info);
}

/** A text that changes with the file's content, unless two changes have the same timestamp. */
export function fileState({ dev, ino, size, mtime }: Deno.FileInfo): string {
  return `${dev} ${ino} ${size} ${mtime?.getTime()}`;
}

/** A document, and its file as it was before it was read. */
export interface ReadDocument {
  readonly document: CredentialsDocument;
  readonly info: Deno.FileInfo;
  /** Whether the text has the Python library's form: this module's without the last line break. */
  readonly isOfPython: boolean;
  /** Empty where the document is kept. */
  readonly text: string;
}

/**
 * The document in the file at `path`. Another program may be writing the file in place: one that was
 * changed a moment ago and cannot be understood is read again, for up to 75 ms.
 *
 * @param found The last look at the path.
 * @throws {CredentialsBackendError} As {@linkcode readOwnFile} and {@linkcode parseDocument}. Deno's own
 * errors pass unchanged.
 */
export function readDocument(path: string, found?: Deno.FileInfo): ReadDocument {
  for (let waitMs = 5, seen = found;; waitMs *= 2, seen = undefined) {
    const { bytes, info } = readOwnFile(path, seen);
    try {
      const text = decode(bytes, path);
      const isOfPython = bytes[1] === 10 && bytes.at(-1) !== 10;
      return { document: parseDocument(text, path), info, isOfPython, text };
    } catch (error) {
      const ageMs = Date.now() - (info.mtime?.getTime() ?? 0);
      if (waitMs > 40 || Math.abs(ageMs) > RACY_MS) throw error;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, waitMs);
  }
}

function decode(bytes: Uint8Array, path: string): string {
  try {
    const text = DECODER.decode(bytes);
    return text.includes("\ufffd") ? STRICT.decode(bytes) : text;
  } catch {
    throw corrupt(path, NO_JSON);
  }
}

/**
 * Parses the file's text.
 *
 * @throws {CredentialsBackendError} `backend_corrupt`. It has no cause, since V8's own message quotes
 * the text around the fault, and that text is tokens.
 */
export function parseDocument(text: string, path: string): CredentialsDocument {
  const value = parseJson(text);
  if (value === undefined) throw corrupt(path, NO_JSON);
  if (!isRecord(value)) throw corrupt(path, "it is not a JSON object");
  // A wrong path may name another program's JSON file, which must not get credentials written into it.
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

/**
 * One row, or `undefined` where there is none. `null` means absent.
 *
 * @throws {CredentialsBackendError} `backend_corrupt`.
 */
export function getEntry(
  document: CredentialsDocument,
  key: string,
  path: string,
): OidcCredentials | undefined {
  // Only an own property: a key may be "constructor".
  const entry = Object.hasOwn(document.credentials, key) ? document.credentials[key] : undefined;
  if (entry === undefined || entry === null) return undefined;
  if (!isRecord(entry)) {
    throw corrupt(path, `its entry for "${key}" is no object`, "clear it: clearOidcCredentials().");
  }
  return withNumbers(unclaimed(entry)) as OidcCredentials;
}

/** A row's field with the fields that are hidden from the Python library: see `claimRow`. */
export const CLAIM = "refreshing";

/** A row with its hidden fields. */
export function unclaimed(row: Record<string, unknown>): Record<string, unknown> {
  if (!isRecord(row[CLAIM])) return row;
  const { [CLAIM]: hidden, ...rest } = row;
  return { ...rest, ...hidden as object };
}

/**
 * Begins the text that stands for a number which JavaScript cannot hold, or which is no JSON. Made with the
 * first one, and another in each process, so that no text of a file or an entry begins with it.
 */
let numberMark: string | undefined;
/** Ten times as fast as `\d{16}`. */
const LONG_NUMBER = new RegExp("\\d".repeat(16));
/** A text, which stays, or such a number that is a value. An open text is taken whole: else the time is quadratic. */
const ODD_NUMBER = /"(?:[^"\\]|\\.)*"?|(?<![\w.+-])(?:-?Infinity|NaN|-?\d{16,})(?![\w.])(?!\s*:)/g;

/**
 * The value of a JSON text, or `undefined`. Python writes integers of any length, NaN and Infinity. A text
 * with {@linkcode numberMark} stands for them, so that a rewrite keeps them as they were written.
 */
function parseJson(text: string): unknown {
  try {
    if (!LONG_NUMBER.test(text)) return JSON.parse(text);
  } catch {
    // Perhaps for a number.
  }
  const mark = (part: string) => {
    if (part[0] === '"') return part;
    numberMark ??= `\0${crypto.randomUUID()} `;
    return JSON.stringify(numberMark + part);
  };
  try {
    return JSON.parse(text.replace(ODD_NUMBER, mark));
  } catch {
    return undefined;
  }
}

/** A JSON text with each marked number as it was read. */
export function unmarked(json: string): string {
  if (numberMark === undefined) return json;
  const written = JSON.stringify(numberMark).slice(1, -1);
  return json.replace(new RegExp(`"\\${written}([^"]+)"`, "g"), "$1");
}

/** A value with JavaScript's nearest number for each {@linkcode numberMark}; `null` where it has none. */
export function withNumbers(value: unknown, depth = 0): unknown {
  if (typeof value === "string" && numberMark !== undefined && value.startsWith(numberMark)) {
    const number = Number(value.slice(numberMark.length));
    return Number.isFinite(number) ? number : null;
  }
  if (depth > 50 || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((part) => withNumbers(part, depth + 1));
  const copy: Record<string, unknown> = { ...value };
  for (const name in copy) { // `Object.keys` takes twice as long
    const part = withNumbers(copy[name], depth + 1);
    if (part !== copy[name]) copy[name] = part;
  }
  return copy;
}

/** The error for a change of a file that a newer program wrote. */
export function newerVersion(path: string, version: number): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_version",
    `Cannot change ${path}: it has version ${version}, and this release writes version ${VERSION}. ` +
      `Update @validmind/auth, or use another path.`,
  );
}

/** Whether a value is a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function corrupt(
  path: string,
  reason: string,
  way = "delete it and sign in afresh: clearOidcCredentials({ all: true }) deletes a damaged " +
    "credentials file, and no other.",
): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_corrupt",
    `Cannot read credentials from ${path}: ${reason}. Nothing was changed. Repair the file, or ${way}`,
  );
}
