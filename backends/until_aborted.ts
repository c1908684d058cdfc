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
