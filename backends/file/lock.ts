import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { folderOf } from "../common/platform.ts";
import { delay } from "../common/promises.ts";
import { whileHeld } from "../common/read_private_file.ts";
import type { WithLockOptions } from "../oidc_credentials_backend.ts";
import {
  assertOwn,
  assertRegular,
  fileError,
  isSameFile,
  lookIfPresent,
  refusal,
} from "./file_access.ts";
import { makeFolder } from "./replace_file.ts";

const ACTION = "open the lock file";
/** Another process may make, remove or replace the file between two steps, but hardly each time. */
const TRIES = 20;
/** About how long a write and a refresh hold their locks, in milliseconds. */
const [WRITE_MS, REFRESH_MS] = [4, 20];
/** The process id of the holder. Of a fixed length, so that nothing of an earlier one is left. */
const NOTE = new TextEncoder().encode(`${Deno.pid}\n`.padStart(16));

/** Options of {@linkcode withFileLock}. */
export interface FileLockOptions<T> extends WithLockOptions<T> {
  /** Longest wait, in milliseconds. */
  timeoutMs: number;
  /**
   * About how long a holder takes, in milliseconds. The wait between two tries depends on it.
   *
   * @default {4} the time of a write
   */
  paceMs?: number;
}

/**
 * Runs `fn` under the lock of one key beside the file or name `base`, in whose folder all sharers work. A
 * folder that is missing is made. Sixteen lock files serve all keys, so a holder takes no second lock.
 *
 * @throws {CredentialsBackendError} As {@linkcode withFileLock}.
 */
export async function withKeyLock<T>(
  base: string,
  key: string,
  fn: (isHeld: () => boolean) => T | Promise<T>,
  options: FileLockOptions<T>,
): Promise<T> {
  const path = `${base}.${slotOf(key)}.lock`;
  try {
    makeFolder(folderOf(path));
  } catch (error) {
    throw fileError("make the folder of", path, error);
  }
  return await withFileLock(path, fn, { paceMs: REFRESH_MS, ...options });
}

/** One of sixteen names for a key: a hexadecimal digit of its hash (FNV-1a). */
export function slotOf(key: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(key)) hash = Math.imul(hash ^ byte, 0x01000193);
  return ((hash ^ hash >>> 16) & 15).toString(16);
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
 * @throws {CredentialsBackendError} `backend_locked` after the time limit; `backend_denied`. A signal that
 * ends the wait throws its reason.
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
      const isHeld = () => isStillAt(info, path);
      if (!isHeld()) continue; // another process locks the new file at the path
      noteHolder(file);
      const result = fn(isHeld);
      // Awaiting a plain value would hold the lock for one more turn of the event loop.
      return result instanceof Promise ? await result : result;
    } finally {
      file.close();
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
      if (found !== undefined) assertRegular(ACTION, path, found);
      const file = tryOpen(path, found === undefined);
      const opened = file && checked(file, path, found);
      if (opened !== undefined) return opened;
    }
  } catch (error) {
    throw fileError(ACTION, path, error);
  }
  throw replacedTooOften(path);
}

/** `undefined` where another process has made or removed the file meanwhile. */
function tryOpen(path: string, isNew: boolean): Deno.FsFile | undefined {
  const { AlreadyExists, NotFound } = Deno.errors;
  const mode = isNew ? { createNew: true, mode: 0o600 } : {};
  try {
    return whileHeld(() => Deno.openSync(path, { read: true, write: true, ...mode }));
  } catch (error) {
    if (error instanceof (isNew ? AlreadyExists : NotFound)) return undefined;
    throw error;
  }
}

/** `undefined` where the open file is another one than was found. */
function checked(file: Deno.FsFile, path: string, found?: Deno.FileInfo): OpenFile | undefined {
  let isUsable = false;
  try {
    const info = file.statSync();
    if (found !== undefined) {
      if (!isSameFile(info, found)) return undefined;
      assertOwn(ACTION, path, info);
      if ((info.nlink ?? 1) > 1) throw refusal(ACTION, path, "it has a second name (a hard link)");
    }
    isUsable = true;
    return { file, info };
  } finally {
    if (!isUsable) file.close();
  }
}

/** Whether an open file, by the information about it, is still the one at `path`. A link is another one. */
export function isStillAt(info: Deno.FileInfo, path: string): boolean {
  const found = lookIfPresent(path);
  return found !== undefined && isSameFile(info, found);
}

function replacedTooOften(path: string): CredentialsBackendError {
  return refusal(ACTION, path, "another program keeps replacing it");
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
  { timeoutMs, paceMs = WRITE_MS, signal, peek }: FileLockOptions<T>,
): Promise<T | undefined> {
  for (let tries = 0;; tries++) {
    if (performance.now() >= deadline) throw lockTimeout(file, path, timeoutMs);
    // Grows with each try, to leave the processor to the holder, and is random, to spread the waiters.
    await delay((1 + Math.random()) * paceMs * Math.min(1 + tries / 2, 5), signal);
    const peeked = await peek?.();
    if (peeked !== undefined || tryLock(file, path)) return peeked;
  }
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
    const buffer = new Uint8Array(NOTE.length);
    file.seekSync(0, Deno.SeekMode.Start);
    const length = file.readSync(buffer) ?? 0;
    const pid = new TextDecoder().decode(buffer.subarray(0, length)).trim();
    return /^\d+$/.test(pid) ? `process ${pid}` : "another process";
  } catch {
    return "another process";
  }
}

/** The error for a lock that somebody has removed from under its holder. */
export function lockLost(path: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "backend_locked",
    `Cannot keep the lock beside ${path}: its file or folder was removed or replaced, so another ` +
      `process may hold it, too. Try again.`,
  );
}
