import { untilAborted } from "../../backends/common/promises.ts";
import type { Flight } from "./session_tokens.ts";

/**
 * Runs `fn`, or joins the run of it that is under way for the same store and key. `fn` gets a signal
 * that aborts when nobody waits any more. `signal` ends this caller's wait alone.
 */
export async function singleFlight<T>(
  running: Map<string, Flight>,
  key: string,
  fn: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal | undefined,
  onJoin: () => void,
): Promise<T> {
  signal?.throwIfAborted();
  let flight = running.get(key);
  if (flight === undefined) {
    const abort = new AbortController();
    const end = () => running.get(key) === flight && running.delete(key);
    flight = { promise: fn(abort.signal).finally(end), abort, waiters: 0 };
    running.set(key, flight);
  } else onJoin();
  flight.waiters++;
  try {
    return await untilAborted(flight.promise as Promise<T>, signal);
  } finally {
    flight.waiters--;
    if (flight.waiters === 0 && running.get(key) === flight) {
      running.delete(key); // the next caller starts anew instead of joining a run that is ended
      flight.abort.abort(signal?.reason);
    }
  }
}
