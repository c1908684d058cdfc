import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { delay } from "../common/promises.ts";
import {
  assertOwn,
  assertRegular,
  fileError,
  isSameFile,
  lookIfPresent,
  refusal,
  whileHeld,
} from "./file_access.ts";

const ACTION = "open the lock file";
/** Another process may make, remove or replace the file between two steps, but hardly each time. */
const TRIES = 20;
/** Enough for any process id. */
const NOTE_BYTES = 16;
/** Of a fixed length, so that nothing of an earlier note is left without a truncation. */
const NOTE = new TextEncoder().encode(`${Deno.pid}\n`.padStart(NOTE_BYTES));

/** Options of {@linkcode withFileLock}. */
export interface FileLockOptions<T> {
  /** Longest wait, in milliseconds. */
  timeoutMs: number;
  /**
   * About how long a holder takes, in milliseconds. The wait between two tries depends on it.
   *
   * @default 4, the time of a write
   */
  paceMs?: number;
  /** Ends the wait for the lock. */
  signal?: AbortSignal | undefined;
  /** Called before each further try: see `WithLockOptions`. */
  peek?: (() => T | undefined | Promise<T | undefined>) | undefined;
}

/**
 * Runs `fn` under the kernel's lock on the file at `path`. The file is created where it is absent, and
 * stays. The kernel drops the lock when the holder's process ends, so no lock outlives a crash.
 *
 * A free lock is taken without yielding, so synchronous functions of one process never wait for each
 * other.
 *
 * @param fn Gets a function that tells whether the lock still excludes others: somebody may remove or
 * replace its file.
 * @throws {CredentialsBackendError} `backend_locked` after the time limit; `runtime_unsupported`. A
 * signal that ends the wait throws its reason.
 */
export async function withFileLock<T>(
  path: string,
  fn: (isHeld: () => boolean) => T | Promise<T>,
  options: FileLockOptions<T>,
): Promise<T> {
  options.signal?.throwIfAborted();
  const deadline = performance.now() + options.timeoutMs;
  for (let tries = 0; tries < TRIES; tries++) {
    const { file, info } = openLockFile(path);
    try {
      const peeked = tryLock(file, path)
        ? undefined
        : await waitForLock(file, path, deadline, options);
      if (peeked !== undefined) return peeked;
      if (!isStillAt(info, path)) continue; // another process locks the new file at the path
      noteHolder(file);
      const result = fn(() => isStillAt(info, path));
      // Awaiting a plain value would hold the lock for one more turn of the event loop.
      return result instanceof Promise ? await result : result;
    } finally {
      file.close(); // `using` would cost a write some microseconds more
    }
  }
  throw replacedTooOften(path);
}

interface OpenFile {
  file: Deno.FsFile;
  info: Deno.FileInfo;
}

/**
 * Opens the lock file, or makes it. It must be a regular file of this user under one name: the process
 * id is written into it, and a planted link could lead that to any file of the user's.
 */
function openLockFile(path: string): OpenFile {
  try {
    for (let tries = 0; tries < TRIES; tries++) {
      const found = lookIfPresent(path);
      const opened = found === undefined ? createLockFile(path) : openFound(path, found);
      if (opened !== undefined) return opened;
    }
  } catch (error) {
    throw fileError(ACTION, path, error);
  }
  throw replacedTooOften(path);
}

/** Whether an open file, by the information about it, is still the one at `path`. A link is another one. */
export function isStillAt(info: Deno.FileInfo, path: string): boolean {
  const found = lookIfPresent(path);
  return found !== undefined && isSameFile(info, found);
}

function replacedTooOften(path: string): CredentialsBackendError {
  return refusal(ACTION, path, "another program keeps replacing it");
}

/** `undefined` where another process has made the file meanwhile. */
function createLockFile(path: string): OpenFile | undefined {
  try {
    const file = Deno.openSync(path, { read: true, write: true, createNew: true, mode: 0o600 });
    return { file, info: infoOf(file) };
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return undefined;
    throw error;
  }
}

/** The information about a file, which is closed where it cannot be had. */
export function infoOf(file: Deno.FsFile): Deno.FileInfo {
  try {
    return file.statSync();
  } catch (error) {
    file.close();
    throw error;
  }
}

/** `undefined` where the file was removed or replaced meanwhile. */
function openFound(path: string, found: Deno.FileInfo): OpenFile | undefined {
  assertRegular(ACTION, path, found);
  const file = openIfPresent(path);
  if (file === undefined) return undefined;
  let isUsable = false;
  try {
    const info = file.statSync();
    if (!isSameFile(info, found)) return undefined;
    assertOwn(ACTION, path, info);
    if ((info.nlink ?? 1) > 1) throw refusal(ACTION, path, "it has a second name (a hard link)");
    isUsable = true;
    return { file, info };
  } finally {
    if (!isUsable) file.close();
  }
}

function openIfPresent(path: string): Deno.FsFile | undefined {
  try {
    return whileHeld(() => Deno.openSync(path, { read: true, write: true }));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function tryLock(file: Deno.FsFile, path: string): boolean {
  try {
    return file.tryLockSync(true);
  } catch (error) {
    throw fileError("lock", path, error);
  }
}

/** Resolves with `undefined` once it has the lock, else with the value of `peek`. */
async function waitForLock<T>(
  file: Deno.FsFile,
  path: string,
  deadline: number,
  { timeoutMs, paceMs = 4, signal, peek }: FileLockOptions<T>,
): Promise<T | undefined> {
  for (let tries = 0;; tries++) {
    if (performance.now() >= deadline) throw lockTimeout(file, path, timeoutMs);
    await delay(jitter(tries, paceMs), signal);
    const peeked = await peek?.();
    if (peeked !== undefined || tryLock(file, path)) return peeked;
  }
}

/** Grows with each try, to leave the processor to the holder, and is random, to spread the waiters. */
function jitter(tries: number, paceMs: number): number {
  return (1 + Math.random()) * paceMs * Math.min(1 + tries / 2, 5);
}

/** Writes the process id into the lock file, for the message of {@linkcode lockTimeout}. */
function noteHolder(file: Deno.FsFile): void {
  try {
    file.writeSync(NOTE);
  } catch {
    // The lock is held all the same. A full disk costs only the note.
  }
}

function lockTimeout(file: Deno.FsFile, path: string, timeoutMs: number): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_locked",
    `Cannot lock ${path} within ${timeoutMs} ms: ${readHolder(file)} holds it, most likely ` +
      `another notebook or script that refreshes the same credentials. Wait for it or end it.`,
  );
}

function readHolder(file: Deno.FsFile): string {
  try {
    const buffer = new Uint8Array(NOTE_BYTES);
    file.seekSync(0, Deno.SeekMode.Start);
    const length = file.readSync(buffer) ?? 0;
    const pid = new TextDecoder().decode(buffer.subarray(0, length)).trim();
    return /^\d+$/.test(pid) ? `process ${pid}` : "another process";
  } catch {
    return "another process";
  }
}

/** A piece of a file name for any key (FNV-1a). Two keys with the same hash share a lock. */
export function shortHash(key: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(key)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
