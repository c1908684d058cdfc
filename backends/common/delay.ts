/** A timer that is to wait longer ends at once, and who waits between tries would never pause. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Waits `ms` milliseconds (24 days at most), or until `signal` aborts: then throws the signal's
 * reason.
 */
export async function delay(ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.min(ms, LONGEST_TIMER_MS));
  try {
    await untilAborted(promise, signal);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for `wait`, but no longer than until `signal` aborts: then throws the signal's reason. */
export async function untilAborted<T>(wait: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return await wait;
  wait.catch(() => undefined); // it may fail later, when nobody waits any more
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([wait, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
