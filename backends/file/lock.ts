import { CredentialsBackendError } from "../credentials_backend_error.ts";
import { fileError } from "./credentials_file.ts";
import { delay } from "../common/delay.ts";

/** Enough for any process id. */
const NOTE_BYTES = 16;
/** Always as long, so that nothing of a former note is left: to cut it off costs a write more. */
const NOTE = new TextEncoder().encode(`${Deno.pid}\n`.padStart(NOTE_BYTES));

/** Options of {@linkcode withFileLock}. */
export interface FileLockOptions<T> {
  /** Longest wait, in milliseconds. */
  timeoutMs: number;
  /**
   * About how long a holder takes, in milliseconds: the wait between two tries goes by it.
   *
   * @default 4, as for a write
   */
  paceMs?: number;
  /** Ends the wait. */
  signal?: AbortSignal | undefined;
  /** Looks, before each further try, whether the lock is wanted no more: see `WithLockOptions`. */
  peek?: (() => T | undefined | Promise<T | undefined>) | undefined;
}

/**
 * Runs `fn` under the kernel's lock on the file at `path`, which is created for it and stays. The
 * kernel drops the lock when the holder ends, however it ends: no lock outlives a crash.
 *
 * A free lock is taken without yielding, so a synchronous `fn` never contends within one process.
 */
export async function withFileLock<T>(
  path: string,
  fn: () => T | Promise<T>,
  options: FileLockOptions<T>,
): Promise<T> {
  options.signal?.throwIfAborted();
  const file = openLockFile(path);
  try {
    const seen = tryLock(file, path) ? undefined : await waitForLock(file, path, options);
    if (seen !== undefined) return seen;
    noteHolder(file);
    const result = fn();
    // To await what is no promise would hold the lock for a turn longer.
    return result instanceof Promise ? await result : result;
  } finally {
    file.close(); // as by `using`, which costs a write some microseconds more
  }
}

function openLockFile(path: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
  } catch (error) {
    throw fileError("open the lock file", path, error);
  }
}

function tryLock(file: Deno.FsFile, path: string): boolean {
  try {
    return file.tryLockSync(true);
  } catch (error) {
    throw fileError("lock", path, error);
  }
}

/** Resolves with the lock, or with what `peek` saw instead. */
async function waitForLock<T>(
  file: Deno.FsFile,
  path: string,
  { timeoutMs, paceMs = 4, signal, peek }: FileLockOptions<T>,
): Promise<T | undefined> {
  const deadline = performance.now() + timeoutMs;
  for (let tries = 0;; tries++) {
    if (performance.now() >= deadline) throw lockTimeout(file, path, timeoutMs);
    await delay(jitter(tries, paceMs), signal);
    const seen = await peek?.();
    if (seen !== undefined || tryLock(file, path)) return seen;
  }
}

/** Longer with each try, since waiting costs the holder's processor; random, so waiters spread out. */
function jitter(tries: number, paceMs: number): number {
  return (1 + Math.random()) * paceMs * Math.min(1 + tries / 2, 5);
}

/** Leaves the process id in the lock file, for the message of whoever waits in vain. */
function noteHolder(file: Deno.FsFile): void {
  try {
    file.writeSync(NOTE);
  } catch {
    // The lock is held all the same; a full disk only costs the note.
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

/** Part of a file name for any key (FNV-1a): two keys with one hash merely share a lock. */
export function shortHash(key: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(key)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
