import { checkOptions } from "../common/check_options.ts";
import { credentialsPath, folderNeeds } from "./document.ts";
import { faultOfKind, faultOfOwner, isStillAt, lookIfPresent } from "../common/judge_path.ts";
import { dirname, join } from "../common/paths.ts";
import { whileHeld } from "../common/read_private_file.ts";
import { repeat } from "../common/repeat.ts";
import { CredentialsBackendError } from "../credentials_backend_error.ts";
import type { WithLockOptions } from "../oidc_credentials_backend.ts";
import { fileError, refuse } from "./faults.ts";
import { makeFolder } from "./replace_file.ts";

const ACTION = "open the lock file";

/** Options of {@linkcode whileLocked}. */
interface FileLockOptions<T> extends WithLockOptions<T> {
  /** Longest wait, in milliseconds. @default {30_000} */
  timeoutMs?: number | undefined;
  /** In this process, holders of different keys share the lock. */
  key?: string;
}

/**
 * Runs `fn` under the lock of one key beside the file or name `base`, in whose folder all sharers work. A
 * folder that is missing is made. 256 lock files serve all keys. So a process rarely waits for another one
 * that holds another key. Within one process, holders of different keys share the file.
 *
 * No lock file is ever removed: nobody can know that no other process waits for it.
 *
 * @throws {CredentialsBackendError} As {@linkcode whileLocked}.
 */
export async function withKeyLock<T>(
  base: string,
  key: string,
  fn: (isHeld: () => boolean) => T | Promise<T>,
  options: FileLockOptions<T>,
): Promise<T> {
  checkOptions("lock a file", { path: base }, { path: "path" });
  const path = `${base}.${shortHash(key).slice(-2)}.lock`;
  makeFolder(path);
  return await whileLocked(path, fn, { ...options, key });
}

/** A piece of a file name for any key (FNV-1a): eight hexadecimal digits. */
export function shortHash(key: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(key)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
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
export async function whileLocked<T>(
  path: string,
  fn: (isHeld: () => boolean) => T | Promise<T>,
  { timeoutMs = 30_000, signal, peek, key = "" }: FileLockOptions<T>,
): Promise<T> {
  const limits = {
    withinMs: timeoutMs,
    signal,
    over: () =>
      new CredentialsBackendError("backend_locked", {
        action: `lock ${path} within ${timeoutMs} ms`,
        reason: "another process holds it, most likely another notebook or script that refreshes " +
          "the same credentials",
        remedy: "Wait for it or end it (on Linux and macOS, lsof with this path names it).",
      }),
  };
  let isWaiting = false;
  const { value } = await repeat(limits, async () => {
    if (isWaiting) {
      const peeked = await peek?.();
      if (peeked !== undefined) return { value: peeked };
    }
    isWaiting = true;
    const lock = tryHold(path, key);
    if (!lock) return undefined;
    try {
      const result = fn(() => isStillAt(path, lock.info));
      // Awaiting a plain value would hold the lock for one more turn of the event loop.
      return { value: result instanceof Promise ? await result : result };
    } finally {
      release(lock, path, key);
    }
  });
  return value;
}

/** A lock of the kernel, which the holders of different keys in this process share. */
interface HeldLock {
  readonly file: Deno.FsFile;
  readonly info: Deno.FileInfo;
  readonly keys: Set<string>;
}

const held = new Map<string, HeldLock>();

/** `undefined` where another process has the lock, or this one has it for the same key. */
function tryHold(path: string, key: string) {
  const own = held.get(path);
  if (own && isStillAt(path, own.info)) {
    if (own.keys.has(key)) return undefined;
    own.keys.add(key);
    return own;
  }
  const file = openLockFile(path);
  const info = file && tryLock(file, path);
  if (!file || !info) return undefined;
  const lock = { file, info, keys: new Set([key]) };
  held.set(path, lock);
  return lock;
}

/**
 * Judges an open lock file, and locks it. Closes it, and gives `undefined`, where another process has it, or
 * has put another file in its place: then that one counts.
 */
function tryLock(file: Deno.FsFile, path: string) {
  let isHeld = false;
  try {
    const info = file.statSync();
    if (!isStillAt(path, info)) return undefined;
    refuse(ACTION, path, faultOfOwner(path, info));
    isHeld = file.tryLockSync(true) && isStillAt(path, info);
    return isHeld ? info : undefined;
  } catch (error) {
    throw fileError("lock", path, error);
  } finally {
    if (!isHeld) file.close();
  }
}

function release(lock: HeldLock, path: string, key: string) {
  lock.keys.delete(key);
  if (lock.keys.size > 0) return;
  lock.file.close();
  if (held.get(path) === lock) held.delete(path);
}

/**
 * Opens the lock file, or makes it. Nothing is written into it, and nothing is made behind a link that
 * somebody plants. `undefined` where it came or went between the look and the opening.
 */
function openLockFile(path: string) {
  try {
    const found = lookIfPresent(path);
    if (found) refuse(ACTION, path, faultOfKind(found));
    const createNew = found === undefined;
    const options = { read: true, write: true, createNew, mode: 0o600 };
    return whileHeld(() => Deno.openSync(path, options));
  } catch (error) {
    const { AlreadyExists, NotFound } = Deno.errors;
    if (error instanceof AlreadyExists) return undefined;
    if (error instanceof NotFound && lookIfPresent(dirname(path), Deno.statSync)) return undefined;
    throw fileError(ACTION, path, error);
  }
}

/** The error for a lock that somebody has removed from under its holder. */
export function lockLost(path: string): CredentialsBackendError {
  return new CredentialsBackendError("backend_locked", {
    action: `keep the lock beside ${path}`,
    reason: "its file or folder was removed or replaced, so another process may hold it, too",
    remedy: "Try again.",
  });
}

/** The locks of a store that has none of its own: their permissions, and how one is taken. */
export type FolderLocks = ReturnType<typeof folderLocks>;

/**
 * Locks in a folder that all sharers of a store use.
 *
 * @param kind The kind of the store, as the names of its files have it.
 * @param place The store itself: each one has locks of its own.
 */
export function folderLocks(
  kind: string,
  place: string,
  { lockFolder, lockTimeoutMs }: { lockFolder?: string; lockTimeoutMs?: number },
) {
  const folder = lockFolder ?? dirname(credentialsPath());
  const base = join(folder, `${kind}.${shortHash(place)}`);
  return {
    /** The beginning of the paths of this store's lock files, and of other files beside them. */
    base,
    needs: folderNeeds(folder, lockFolder === undefined),
    run: <T>(key: string, fn: () => Promise<T>, options: WithLockOptions<T>) =>
      withKeyLock(base, key, fn, { ...options, timeoutMs: lockTimeoutMs }),
  };
}
