import { isUrl, permissionFlag } from "../common/platform.ts";
import { isObject } from "../common/printable.ts";
import { call, CredentialsBackendError, words } from "../credentials_backend_error.ts";
import { fileError } from "../file/file_access.ts";
import type { OidcCredentials } from "../oidc_credentials_backend.ts";

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

export const entryPrefix: Deno.KvKey = ["validmind", "oidc"];
const entryKey = (key: string): Deno.KvKey => [...entryPrefix, key];
const partKeys = (key: string): Deno.KvKey[] =>
  Array.from({ length: MAX_PARTS }, (_, part) => ["validmind", "oidc_part", key, part]);

/** A row, as one look found it. */
export interface StoredEntry {
  entry: OidcCredentials | undefined;
  /** Holds while the row is unchanged. */
  check: Deno.AtomicCheck;
}

/** The change that stores an entry, and leaves no part of a larger one before it. */
export function storing(
  key: string,
  entry: OidcCredentials,
  path: string,
): (atomic: Deno.AtomicOperation) => void {
  // Through JSON: the value that every other backend would store, without undefined or classes.
  const json = JSON.stringify(entry);
  const bytes = new TextEncoder().encode(json);
  if (bytes.length > MAX_BYTES) throw tooLarge(path);
  const isWhole = bytes.length <= WHOLE_BYTES;
  const count = isWhole ? 0 : Math.ceil(bytes.length / PART_BYTES);
  return (atomic) => {
    atomic.set(entryKey(key), isWhole ? JSON.parse(json) : count);
    partKeys(key).forEach((partKey, part) => {
      if (part >= count) atomic.delete(partKey);
      else atomic.set(partKey, bytes.slice(part * PART_BYTES, (part + 1) * PART_BYTES));
    });
  };
}

/** The change that removes an entry. */
export function removing(key: string): (atomic: Deno.AtomicOperation) => void {
  return (atomic) => [entryKey(key), ...partKeys(key)].forEach((row) => atomic.delete(row));
}

/** Reads an entry in one snapshot. */
export async function readEntry(
  kv: Pick<Deno.Kv, "getMany">,
  key: string,
  path: string,
): Promise<StoredEntry> {
  const [row, ...parts] = await kv.getMany<unknown[]>([entryKey(key), ...partKeys(key)]);
  const { value, versionstamp } = row!;
  const check = { key: entryKey(key), versionstamp };
  const entry = typeof value === "number"
    ? join(versionstamp, parts.slice(0, value))
    : value ?? undefined;
  if (entry === undefined || isObject(entry)) return { entry: entry as OidcCredentials, check };
  throw new CredentialsBackendError(
    "backend_corrupt",
    words`Cannot read credentials from ${path}: the entry for "${key}" is damaged. Remove it with
      ${call("clearOidcCredentials")}.`,
  );
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

/** The error for an entry, or a key, that is too large for Deno KV. */
function tooLarge(path: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_too_large",
    `Cannot write credentials in ${path}: the entry is larger than 512 KiB, or its key than 2 KiB, ` +
      `the most that Deno KV holds. Use another backend, or ask the provider for smaller tokens.`,
  );
}

const LOCKED = /database( table)? is locked/;

export function isDatabaseLocked(error: unknown): boolean {
  return error instanceof TypeError && LOCKED.test(error.message);
}

export function kvError(action: string, path: string, error: unknown): CredentialsBackendError {
  if (error instanceof CredentialsBackendError) return error;
  if (error instanceof TypeError && /too large/i.test(error.message)) return tooLarge(path);
  return isUrl(path) ? serverError(path, error) : databaseError(action, path, error);
}

const CORRUPT =
  "it is not a sound Deno KV database. Nothing was changed. Repair or remove the file.";
const DENIED =
  "the system denies access. Check the owner and mode of it and its folder, and the free space.";
/** Codes and reasons by SQLite's words, which name no cause of the operating system. */
const DATABASE_FAULTS: [RegExp, CredentialsBackendError["code"], string][] = [
  [LOCKED, "backend_locked", "another process keeps writing to it. Try again, or end it."],
  [/not a database|disk image is malformed/, "backend_corrupt", CORRUPT],
  [/database or disk is full/, "backend_full", "no space is left. Free some space."],
  [/disk I\/O error/, "backend_unavailable", "disk I/O error. Check its space and file system."],
  [/unable to open database|read-?only database/, "backend_denied", DENIED],
];

function databaseError(action: string, path: string, error: unknown): CredentialsBackendError {
  const text = error instanceof Error ? error.message : "";
  const [, code, reason] = DATABASE_FAULTS.find(([words]) => words.test(text)) ?? [];
  if (code === undefined) return fileError(action, path, error);
  return new CredentialsBackendError(code, `Cannot ${action} ${path}: ${reason}`);
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
  const { name, message } = error instanceof Error ? error : { name: "unknown error", message: "" };
  const isLate = name === "TimeoutError";
  const isStatus = /^status \d+$/.test(message); // this module's own words
  const isNoServer = message.startsWith("Could not open Deno KV database");
  const known = isStatus ? message : isNoServer ? "no KV Connect server answers there" : name;
  const reason = isLate ? "no answer within the time limit (timeoutMs)" : known;
  return new CredentialsBackendError(
    isLate ? "backend_timeout" : "backend_unavailable",
    `Cannot use Deno KV at ${host}: ${reason}. Check the address, and that the server runs and is ` +
      `reached from this host.`,
  );
}
