import { untilAborted } from "../backends/delay.ts";

interface Flight {
  promise: Promise<unknown>;
  abort: AbortController;
  waiters: number;
}

const flights = new WeakMap<object, Map<string, Flight>>();

/**
 * Runs `fn`, or joins the run of it that is under way for the same owner and key.
 *
 * @param fn Gets a signal that aborts when nobody waits for the run any more.
 * @param signal Ends this caller's wait; the run goes on for the others.
 * @param onJoin Runs when a run is joined.
 */
export async function singleFlight<T>(
  owner: object,
  key: string,
  fn: (signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
  onJoin: () => void = () => {},
): Promise<T> {
  signal?.throwIfAborted();
  const running = flights.get(owner) ?? new Map<string, Flight>();
  flights.set(owner, running);
  const joined = running.get(key);
  if (joined !== undefined) onJoin();
  const flight = joined ?? start(running, key, fn);
  flight.waiters++;
  try {
    return await untilAborted(flight.promise as Promise<T>, signal);
  } finally {
    flight.waiters--;
    if (flight.waiters === 0 && running.get(key) === flight) {
      running.delete(key); // who comes now starts anew instead of joining what is being ended
      flight.abort.abort(signal?.reason);
    }
  }
}

function start(
  running: Map<string, Flight>,
  key: string,
  fn: (signal: AbortSignal) => Promise<unknown>,
): Flight {
  const abort = new AbortController();
  const promise = fn(abort.signal).finally(() => {
    if (running.get(key) === flight) running.delete(key);
  });
  const flight: Flight = { promise, abort, waiters: 0 };
  running.set(key, flight);
  return flight;
}
