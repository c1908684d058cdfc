import { describeBackend } from "../../backends/common/describe_backend.ts";
import { runLater, untilAborted } from "../../backends/common/promises.ts";
import type { WithLockOptions } from "../../backends/oidc_credentials_backend.ts";
import { isShownByCaller, showLine } from "../prompt/terminal.ts";
import type { Flight, TokenSourceOptions } from "./session_tokens.ts";
import type { CredentialStore } from "./store.ts";

/** Longer waits are reported, and shown to a person who is there. */
const NOTICE_MS = 3000;

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

/** Runs `fn` under the store's lock, and reports a long wait for the lock, and its end. */
export async function takeTurn<T>(
  store: CredentialStore,
  fn: () => Promise<T>,
  lock: WithLockOptions<T>,
  { ask, runtime: { emit } }: TokenSourceOptions,
): Promise<T> {
  const start = performance.now();
  const waitedMs = () => Math.round(performance.now() - start);
  let isLong = false;
  const onLong = () => {
    isLong = true;
    emit?.({ type: "lock_waiting", waitedMs: waitedMs() });
    if (ask === undefined || isShownByCaller(ask)) return;
    showLine(
      `Waiting for another notebook or script that signs in or refreshes with the same entry of ` +
        `${describeBackend(store.backend)}.`,
    );
  };
  using notice = runLater(NOTICE_MS, onLong);
  return await store.withLock(() => {
    notice[Symbol.dispose]();
    if (isLong) emit?.({ type: "lock_waited", waitedMs: waitedMs() });
    return fn();
  }, lock);
}
