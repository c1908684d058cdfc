import { isUrl } from "../common/check_options.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { fileError } from "../file/file_access.ts";
import { probeFolder } from "./connect.ts";
import { tooLarge } from "./entry.ts";

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
      `Cannot reach Deno KV at ${host}: Deno does not permit it. Run with: --allow-net=${host} ` +
        `--allow-env=DENO_KV_ACCESS_TOKEN`,
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
