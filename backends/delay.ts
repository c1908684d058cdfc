import { untilAborted } from "./until_aborted.ts";

/** Waits `ms` milliseconds, or until `signal` aborts: then throws the signal's reason. */
export async function delay(ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  try {
    await untilAborted(promise, signal);
  } finally {
    clearTimeout(timer);
  }
}
