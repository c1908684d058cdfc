import { isUrl, permissionFlag } from "../common/platform.ts";
import { isObject } from "../common/printable.ts";
import { call, CredentialsBackendError, words } from "../credentials_backend_error.ts";
import { fileError } from "../file/file_access.ts";
import type { OidcCredentials } from "../oidc_credentials_backend.ts";

export const entryPrefix: Deno.KvKey = ["validmind", "oidc"];
export const entryKey = (key: string): Deno.KvKey => [...entryPrefix, key];

/** A row, as one look found it. */
export interface StoredEntry {
  entry: OidcCredentials | undefined;
  /** Holds while the row is unchanged. */
  check: Deno.AtomicCheck;
}

/** Reads an entry. */
export async function readEntry(
  kv: Pick<Deno.Kv, "get">,
  key: string,
  path: string,
): Promise<StoredEntry> {
  const { value, versionstamp } = await kv.get(entryKey(key));
  const check = { key: entryKey(key), versionstamp };
  const entry = value ?? undefined;
  if (entry === undefined || isObject(entry)) return { entry: entry as OidcCredentials, check };
  throw new CredentialsBackendError(
    "backend_corrupt",
    words`Cannot read credentials from ${path}: the entry for "${key}" is damaged. Remove it with
      ${call("clearOidcCredentials")}.`,
  );
}

/** The error for an entry, or a key, that is too large for Deno KV. */
function tooLarge(path: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_too_large",
    `Cannot write credentials in ${path}: the entry is larger than 64 KiB, or its key than 2 KiB, ` +
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
