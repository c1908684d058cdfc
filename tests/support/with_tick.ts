/** Runs `fn` with every interval in the test's hand instead of the clock's. */
export async function withTick(fn: (tick: () => void) => Promise<void>): Promise<void> {
  const original = globalThis.setInterval;
  const callbacks = new Set<() => void>();
  globalThis.setInterval = ((callback: () => void) => {
    callbacks.add(callback);
    return original(() => {}, 1_000_000);
  }) as typeof setInterval;
  try {
    await fn(() => callbacks.forEach((callback) => callback()));
  } finally {
    globalThis.setInterval = original;
  }
}
