/** The longest time of a timer, in milliseconds. Deno ends a longer one at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Waits `ms` milliseconds (24 days at most). Throws the reason of `signal` when it aborts.
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

/** Waits for a promise. Throws the reason of `signal` when it aborts first. */
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
