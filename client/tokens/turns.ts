import { untilAborted } from "../../backends/common/promises.ts";
import type { WithLockOptions } from "../../backends/oidc_credentials_backend.ts";
import type { AskOptions } from "../sign_in/flow.ts";
import { getOrSet, type TokenSourceOptions } from "./source.ts";
import type { CredentialStore } from "./store.ts";

/** Loaded where a person is asked, or waits for a lock. */
export const loadDialog = () => import("../sign_in/dialog.ts");

/** Longer waits are reported. */
const NOTICE_MS = 1000;

interface Flight {
  promise: Promise<unknown>;
  abort: AbortController;
  waiters: number;
}

const flights = new WeakMap<object, Map<string, Flight>>();

/**
 * Runs `fn`, or joins the run of it that is under way for the same owner and key. `fn` gets a signal
 * that aborts when nobody waits any more. `signal` ends this caller's wait alone.
 */
export async function singleFlight<T>(
  owner: object,
  key: string,
  fn: (signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
  onJoin: () => void = () => {},
): Promise<T> {
  signal?.throwIfAborted();
  const running = getOrSet(flights, owner, () => new Map<string, Flight>());
  const joined = running.get(key);
  if (joined !== undefined) onJoin();
  const flight = joined ?? startFlight(running, key, fn);
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

function startFlight(
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

/** Runs `fn` under the store's lock, and reports a long wait for the lock, and its end. */
export async function takeTurn<T>(
  store: CredentialStore,
  fn: () => Promise<T>,
  lock: WithLockOptions<T>,
  { runtime: { emit }, identity: { issuer }, ask }: TokenSourceOptions,
): Promise<T> {
  const start = performance.now();
  const waitedMs = () => Math.round(performance.now() - start);
  let onEnd = () => {};
  const onLong = () => {
    emit?.({ type: "lock_waiting", waitedMs: waitedMs() });
    const notice = ask && showWait(ask, issuer);
    onEnd = () => {
      emit?.({ type: "lock_waited", waitedMs: waitedMs() });
      notice?.then((notice) => notice?.erase()).catch(() => undefined);
    };
  };
  // Not by setTimeout, whose first use in a process takes Deno some 4 ms.
  const timer = AbortSignal.timeout(NOTICE_MS);
  timer.addEventListener("abort", onLong, { once: true });
  const end = () => {
    timer.removeEventListener("abort", onLong);
    onEnd();
    onEnd = () => {};
  };
  try {
    return await store.withLock(() => {
      end();
      return fn();
    }, lock);
  } finally {
    end();
  }
}

async function showWait(ask: AskOptions, issuer: string) {
  const { isShownByCaller, terminalNotice } = await loadDialog();
  if (isShownByCaller(ask)) return undefined;
  return terminalNotice(
    `Another process is refreshing the sign-in at ${issuer}; waiting for it …`,
  );
}
