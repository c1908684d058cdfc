import { isUrl, netHost } from "../common/host.ts";
import { dirname } from "../common/paths.ts";
import { permissionFlag } from "../common/permission.ts";
import { delay, LONGEST_TIMER_MS, type Timer, untilAborted } from "../common/promises.ts";
import { isOpen } from "../common/read_private_file.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { assertOwn, assertRegular, fileError, lookIfPresent, refusal } from "../file/document.ts";

const TOKEN = "DENO_KV_ACCESS_TOKEN";
/** After this time without an answer the server is asked for its metadata first, in milliseconds. */
const FRESH_MS = 1000;
/** Time for which a server that never answered is asked again: about as long as a restart. */
const PATIENCE_MS = 1500;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1000;

/** Runs an operation of Deno KV within a time limit. */
export type Perform = <T>(operation: () => Promise<T>, timeoutMs?: number) => Promise<T>;

/**
 * Access to a KV Connect server within a time limit.
 *
 * Deno repeats an operation for ever where a server does not answer, reports each try on standard
 * error, and keeps the process alive. Neither a signal nor `Kv.close` ends that. So the server is first
 * asked for its metadata, by a request that can be ended.
 */
export function serverPerformer(url: string, timeoutMs: number, timer: Timer): Perform {
  let hasAnswered = false;
  /** The end of {@linkcode FRESH_MS} after the last answer. */
  let freshUntil = -Infinity;
  return async (operation, limitMs = Infinity) => {
    const signal = AbortSignal.timeout(Math.min(limitMs, timeoutMs, LONGEST_TIMER_MS));
    if (timer.now() >= freshUntil) {
      // A server that has answered before may be restarting: it is asked until the time limit.
      const patience = hasAnswered ? Infinity : timer.now() + PATIENCE_MS;
      await untilItAnswers(url, timer, patience, signal);
    }
    freshUntil = -Infinity;
    const result = await untilAborted(operation(), signal);
    hasAnswered = true;
    freshUntil = timer.now() + FRESH_MS;
    return result;
  };
}

async function untilItAnswers(
  url: string,
  timer: Timer,
  patience: number,
  signal: AbortSignal,
): Promise<void> {
  for (let pause = FIRST_PAUSE_MS;; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    try {
      return await ask(url, signal);
    } catch (error) {
      const isFinal = error instanceof CredentialsBackendError ||
        error instanceof Deno.errors.NotCapable;
      if (isFinal || signal.aborted || timer.now() >= patience) throw error;
      // The server's own error says more than the end of the time.
      await timer.delay(pause, signal).catch(() => Promise.reject(error));
    }
  }
}

async function ask(url: string, signal: AbortSignal): Promise<void> {
  const token = Deno.env.get(TOKEN) ?? "";
  if (!/^[\x21-\x7e]+$/.test(token)) throw refused(url, "is not set, or is not a token");
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ supportedVersions: [1, 2, 3] }),
    redirect: "manual",
    signal,
  });
  await response.body?.cancel();
  if (response.status === 401) throw refused(url, "is refused");
  if (response.status === 403) throw refused(url, "does not allow it", true);
  if (response.status >= 500) throw new Error(`status ${response.status}`);
}

function refused(url: string, why: string, isDenied = false): CredentialsBackendError {
  return new CredentialsBackendError(isDenied ? "backend_denied" : "backend_auth_failed", {
    action: `use Deno KV at ${netHost(new URL(url))}`,
    reason: `${TOKEN} ${why}`,
    remedy: "Set it to an access token of the server.",
  });
}

/**
 * Access to a database file. While another handle writes to it, Deno reports that at once and has then
 * done nothing: the operation is repeated.
 */
export function filePerformer(timeoutMs: number): Perform {
  return async (operation) => {
    const deadline = performance.now() + timeoutMs;
    for (let tries = 0;; tries++) {
      try {
        return await operation();
      } catch (error) {
        const isLocked = error instanceof TypeError && LOCKED.test(error.message);
        if (!isLocked || performance.now() >= deadline) throw error;
        await delay((1 + Math.random()) * Math.min(2 + tries, 25));
      }
    }
  };
}

const ACTION = "use the Deno KV file";
/** The endings of a database and of the files that SQLite makes beside it. All hold entries. */
const FILES = ["", "-journal", "-wal", "-shm"];

/**
 * Makes the files of a database safe: SQLite opens them by their names, and gives those that it makes the
 * mode of the database. Each has to be a regular file of this process's user, closed to others. Others
 * must not be able to write the folder.
 *
 * No existing file is opened here. SQLite's locks belong to the process, and the kernel drops them
 * when any descriptor of the file is closed.
 *
 * @returns The path of the database itself, also where the given one is a link to it.
 */
export function secureDatabase(given: string): string {
  const path = lookIfPresent(given)?.isSymlink ? Deno.realPathSync(given) : given;
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: 0o600 }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  assertClosedFolder(path, Deno.lstatSync(path).uid);
  for (const side of FILES) {
    try {
      closeFile(`${path}${side}`);
    } catch (error) {
      // Another process that ends has SQLite remove them, at any moment.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return path;
}

function closeFile(path: string): void {
  const info = Deno.lstatSync(path);
  assertRegular(ACTION, path, info);
  if (isOpen(info)) Deno.chmodSync(path, 0o600); // only its owner can do that
  assertOwn(ACTION, path, Deno.lstatSync(path));
}

function assertClosedFolder(path: string, owner: number | null): void {
  const { mode, uid } = Deno.statSync(dirname(path));
  if (mode === null || uid === null) return; // Windows
  const isOfOthers = uid !== 0 && uid !== owner;
  if (!isOfOthers && (mode & 0o022) === 0) return;
  throw refusal(
    ACTION,
    path,
    isOfOthers
      ? `its folder belongs to another user (uid ${uid})`
      : `others can write its folder (mode ${(mode & 0o7777).toString(8)})`,
    "Use a folder that only you can write.",
  );
}

const LOCKED = /database( table)? is locked/;

export function kvError(action: string, path: string, error: unknown): CredentialsBackendError {
  if (error instanceof CredentialsBackendError) return error;
  const text = error instanceof Error ? error.message : "";
  const [, code, reason = "", remedy = ""] = FAULTS.find(([words]) => words.test(text)) ?? [];
  if (code === "backend_too_large" || (code !== undefined && !isUrl(path))) {
    return new CredentialsBackendError(code, { action: `${action} ${path}`, reason, remedy });
  }
  return isUrl(path) ? serverError(path, error) : fileError(action, path, error);
}

const CORRUPT = [
  "it is not a valid Deno KV database",
  "Nothing was changed. Repair or remove the file.",
] as const;
const DENIED = [
  "the system denies access",
  "Check the owner and mode of it and its folder, and the free space.",
] as const;
const TOO_LARGE = [
  "the entry is larger than 64 KiB, or its key than 2 KiB, the most that Deno KV holds",
  "Use another backend, or ask the provider for smaller tokens.",
] as const;
/** Codes and reasons by the words of Deno KV and of SQLite, which name no cause of the system. */
type Fault = [RegExp, CredentialsBackendError["code"], reason: string, remedy: string];
const FAULTS: Fault[] = [
  [/too large/i, "backend_too_large", ...TOO_LARGE],
  [LOCKED, "backend_locked", "another process keeps writing to it", "Try again, or end it."],
  [/not a database|disk image is malformed/, "backend_corrupt", ...CORRUPT],
  [/database or disk is full/, "backend_full", "no space is left", "Free some space."],
  [/disk I\/O error/, "backend_unavailable", "disk I/O error", "Check its space and file system."],
  [/unable to open database|read-?only database/, "backend_denied", ...DENIED],
];

/** Without a cause: Deno quotes the server's words, and a strange server may echo the token. */
function serverError(path: string, error: unknown): CredentialsBackendError {
  const host = URL.parse(path)?.host ?? path;
  if (error instanceof Deno.errors.NotCapable) {
    return new CredentialsBackendError("permission_required", {
      action: `reach Deno KV at ${host}`,
      reason: "Deno does not permit it",
      remedy: `Run with: ${permissionFlag("net", host)} --allow-env=DENO_KV_ACCESS_TOKEN`,
    });
  }
  const { name, message } = error instanceof Error ? error : { name: "unknown error", message: "" };
  const isLate = name === "TimeoutError";
  const isStatus = /^status \d+$/.test(message); // this module's own words
  const isNoServer = message.startsWith("Could not open Deno KV database");
  const known = isStatus ? message : isNoServer ? "no KV Connect server answers there" : name;
  const reason = isLate ? "no answer within the time limit (timeoutMs)" : known;
  return new CredentialsBackendError(isLate ? "backend_timeout" : "backend_unavailable", {
    action: `use Deno KV at ${host}`,
    reason,
    remedy: "Check the address, and that the server runs and is reached from this host.",
  });
}
