import { isUrl, permissionFlag } from "../common/platform.ts";
import { isObject } from "../common/printable.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { fileError } from "../file/file_access.ts";
import type { OidcCredentials } from "../oidc_credentials_backend.ts";
import { probeFolder } from "./connect.ts";

/**
 * The rows of an entry in Deno KV, whose values hold 64 KiB each. A small entry is one value, the object
 * itself. A larger one is cut: its row has the number of its parts, and the parts are the bytes of its
 * JSON. One commit writes all rows, so that they have one versionstamp. One snapshot reads them.
 */

/** The largest entry. A commit holds 800 KiB, a snapshot ten rows. */
const MAX_BYTES = 512 * 1024;
const MAX_PARTS = 9;
const PART_BYTES = 60_000;
/** JSON up to this size stays below 64 KiB in V8's own format, which takes up to three times as much. */
const WHOLE_BYTES = 20_000;

/** Other programs may replace an entry between two reads, but hardly each time; a server may lie. */
const TRIES = 20;

export const entryPrefix: Deno.KvKey = ["validmind", "oidc"];
const entryKey = (key: string): Deno.KvKey => [...entryPrefix, key];
const partKey = (key: string, part: number): Deno.KvKey => ["validmind", "oidc_part", key, part];

export interface EncodedEntry {
  /** The object, or the number of parts. */
  row: unknown;
  parts: Uint8Array[];
}

export function encodeEntry(entry: OidcCredentials, path: string): EncodedEntry {
  // Through JSON: the value that every other backend would store, without undefined or classes.
  const json = JSON.stringify(entry);
  const bytes = new TextEncoder().encode(json);
  if (bytes.length > MAX_BYTES) throw tooLarge(path);
  if (bytes.length <= WHOLE_BYTES) return { row: JSON.parse(json), parts: [] };
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += PART_BYTES) {
    parts.push(bytes.slice(at, at + PART_BYTES));
  }
  return { row: parts.length, parts };
}

export function setEntry(
  atomic: Deno.AtomicOperation,
  key: string,
  { row, parts }: EncodedEntry,
  noParts?: Deno.AtomicCheck,
): void {
  atomic.set(entryKey(key), row);
  parts.forEach((bytes, part) => atomic.set(partKey(key, part), bytes));
  deleteParts(atomic, key, parts.length, noParts);
}

export function deleteEntry(
  atomic: Deno.AtomicOperation,
  key: string,
  noParts?: Deno.AtomicCheck,
): void {
  atomic.delete(entryKey(key));
  deleteParts(atomic, key, 0, noParts);
}

/**
 * Deletes the parts of a larger entry before it. Deleting nine absent rows costs as much as the rest of
 * a commit, so it is left out where the commit depends on a check that there are none.
 */
function deleteParts(
  atomic: Deno.AtomicOperation,
  key: string,
  from: number,
  noParts: Deno.AtomicCheck | undefined,
): void {
  if (noParts !== undefined) atomic.check(noParts);
  else for (let part = from; part < MAX_PARTS; part++) atomic.delete(partKey(key, part));
}

/** A check that fails once the row, which was whole at this versionstamp, is written again. */
export function noPartsSince(key: string, versionstamp: string | null): Deno.AtomicCheck {
  return { key: entryKey(key), versionstamp };
}

/** A row, as one look found it. */
export interface StoredEntry {
  entry: OidcCredentials | undefined;
  /** Holds while the key has no parts; `undefined` where it has some. */
  noParts: Deno.AtomicCheck | undefined;
  /** Holds while the row is unchanged. */
  check: Deno.AtomicCheck;
}

/**
 * The entry, if there is one. While the check `noParts` holds, the key has no parts; `undefined` where
 * it has some. `run` runs each read.
 */
export async function getEntry(
  kv: Pick<Deno.Kv, "get" | "getMany">,
  key: string,
  path: string,
  run: <T>(operation: () => Promise<T>) => Promise<T>,
): Promise<StoredEntry> {
  const first = await run(() => kv.get<unknown>(entryKey(key)));
  let check = noPartsSince(key, first.versionstamp);
  const noParts = isPartCount(first.value) ? undefined : check;
  let value: unknown = first.value;
  for (let tries = 0; isPartCount(value); tries++) {
    if (tries === TRIES) throw changing(path);
    const count = value;
    const keys = Array.from({ length: count }, (_, part) => partKey(key, part));
    const [row, ...parts] = await run(() => kv.getMany<unknown[]>([entryKey(key), ...keys]));
    value = row!.value;
    check = noPartsSince(key, row!.versionstamp);
    if (value === count) value = join(row!.versionstamp, parts);
  }
  if (value === null || value === undefined) return { entry: undefined, noParts, check };
  if (isObject(value)) return { entry: value as OidcCredentials, noParts, check };
  throw new CredentialsBackendError(
    "backend_corrupt",
    `Cannot read credentials from ${path}: the entry for "${key}" is damaged. Remove it with ` +
      `clearOidcCredentials().`,
  );
}

/**
 * The entry of a database that Deno cannot open because its disk is full: SQLite wants room for a file
 * in which the processes that use a database find each other. A connection that locks all others out
 * needs no such file. `undefined` where there is no entry, or where Deno keeps it in another form.
 */
export async function getEntryWithoutRoom(
  key: string,
  path: string,
): Promise<OidcCredentials | undefined> {
  // Not by an import(), which every start would look up beforehand.
  const { DatabaseSync } = process.getBuiltinModule("node:sqlite");
  const { deserialize } = process.getBuiltinModule("node:v8");
  const database = new DatabaseSync(path);
  try {
    database.exec("pragma busy_timeout = 1000; pragma locking_mode = exclusive");
    const select = database.prepare("select v, v_encoding, version from kv where k = ?");
    const get = (key: Deno.KvKey) => {
      const row = select.get(encodeKey(key)) as
        | { v: Uint8Array; v_encoding: number; version: number }
        | undefined;
      // Of the values of an entry, all that are not bytes are objects or numbers in V8's format.
      const value = row && (row.v_encoding === 1 ? deserialize(row.v) : row.v);
      return { key, value: value ?? null, versionstamp: row ? String(row.version) : null };
    };
    const kv = {
      get: (key: Deno.KvKey) => Promise.resolve(get(key)),
      getMany: (keys: Deno.KvKey[]) => Promise.resolve(keys.map(get)),
    } as Pick<Deno.Kv, "get" | "getMany">;
    return (await getEntry(kv, key, path, (read) => read())).entry;
  } finally {
    database.close();
  }
}

/** A key in the form in which Deno KV orders its rows, for the parts that keys of entries have. */
function encodeKey(key: Deno.KvKey): Uint8Array {
  return Uint8Array.from(key.flatMap((part) => {
    if (typeof part !== "number") {
      const bytes = new TextEncoder().encode(String(part));
      return [2, ...Array.from(bytes).flatMap((byte) => byte === 0 ? [0, 255] : [byte]), 0];
    }
    const bytes = new DataView(new ArrayBuffer(8));
    bytes.setFloat64(0, part);
    bytes.setUint8(0, bytes.getUint8(0) ^ 0x80); // so that numbers from 0 on are in their order
    return [0x21, ...new Uint8Array(bytes.buffer)];
  }));
}

function isPartCount(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value <= MAX_PARTS;
}

/** The object of the parts; `false` where they do not belong together. */
function join(versionstamp: string | null, parts: Deno.KvEntryMaybe<unknown>[]): unknown {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  try {
    let json = "";
    for (const part of parts) {
      if (part.versionstamp !== versionstamp) return false;
      json += decoder.decode(part.value as Uint8Array, { stream: true });
    }
    return JSON.parse(json + decoder.decode());
  } catch {
    return false; // without a cause, which would hold a piece of the entry
  }
}

function changing(path: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_unavailable",
    `Cannot read credentials from ${path}: the entry is another one at each look. Try again.`,
  );
}

/** The error for an entry, or a key, that is too large for Deno KV. */
export function tooLarge(path: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_too_large",
    `Cannot write credentials in ${path}: the entry is larger than 512 KiB, or its key than 2 KiB, ` +
      `the most that Deno KV holds. Use another backend, or ask the provider for smaller tokens.`,
  );
}

/** SQLite's words for a failure whose cause is the operating system's. */
const SYSTEM_FAULT = /unable to open database file|disk I\/O error|read-?only database/;

export function isDatabaseLocked(error: unknown): boolean {
  return error instanceof TypeError && /database( table)? is locked/.test(error.message);
}

export function kvError(action: string, path: string, error: unknown): CredentialsBackendError {
  if (error instanceof CredentialsBackendError) return error;
  if (error instanceof TypeError && /too large/i.test(error.message)) return tooLarge(path);
  return isUrl(path) ? serverError(path, error) : databaseError(action, path, error);
}

function databaseError(action: string, path: string, error: unknown): CredentialsBackendError {
  const text = error instanceof Error ? error.message : "";
  const fail = (code: CredentialsBackendError["code"], reason: string) =>
    new CredentialsBackendError(code, `Cannot ${action} credentials in ${path}: ${reason}`);
  if (isDatabaseLocked(error)) {
    const reason = "another process keeps writing to the database. Try again, or end it.";
    return fail("backend_locked", reason);
  }
  if (/not a database|database disk image is malformed/.test(text)) {
    return fail(
      "backend_corrupt",
      "it is not a sound Deno KV database. Nothing was changed. Repair or remove the file, or use " +
        "another path.",
    );
  }
  if (/database or disk is full/.test(text)) {
    return fail("backend_full", "no space is left. Free some space; what was stored is kept.");
  }
  const fault = SYSTEM_FAULT.test(text) ? systemFault(path) : error;
  if (fault !== undefined) {
    return fileError(`${action} credentials in the Deno KV database`, path, fault);
  }
  return /I\/O error/.test(text)
    ? fail("backend_unavailable", `SQLite reports: ${text}. Check the path and its file system.`)
    : fail("backend_denied", "the system denies access to the file. Check its owner and mode.");
}

/** The error of the operating system that made SQLite fail, if it lasts. */
function systemFault(path: string): unknown {
  try {
    probeFolder(path);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Without a cause: Deno quotes the server's words, and a strange server may echo the token. */
function serverError(path: string, error: unknown): CredentialsBackendError {
  const host = URL.parse(path)?.host ?? path;
  if (error instanceof Deno.errors.NotCapable) {
    return new CredentialsBackendError(
      "permission_required",
      `Cannot reach Deno KV at ${host}: Deno does not permit it. Run with: ` +
        `${permissionFlag("net", host)} --allow-env=DENO_KV_ACCESS_TOKEN`,
    );
  }
  const isLate = error instanceof DOMException && error.name === "TimeoutError";
  return new CredentialsBackendError(
    isLate ? "backend_timeout" : "backend_unavailable",
    `Cannot use Deno KV at ${host}: ${reasonOf(error)}. Check the address, and that the server ` +
      `runs and is reached from this host.`,
  );
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown error";
  if (error.name === "TimeoutError" || /^status \d+$/.test(error.message)) return error.message; // own
  return error.message.startsWith("Could not open Deno KV database")
    ? "no KV Connect server answers there"
    : error.name;
}
