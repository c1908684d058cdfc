import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import { untilAborted } from "../../backends/common/promises.ts";
import type { WithLockOptions } from "../../backends/oidc_credentials_backend.ts";
import type { Emit } from "../options/runtime.ts";
import type { AskOptions } from "../sign_in/flow.ts";
import { getOrSet } from "./source.ts";
import type { CredentialStore } from "./store.ts";

/** Loaded where a person waits for a lock. */
const loadTerminal = () => import("../prompt/terminal.ts");

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

/** Where a long wait is reported. */
export interface WaitReport {
  emit: Emit | undefined;
  /** The issuer of the awaited tokens. */
  issuer: string;
  /** Whether a person may be asked, and how: a long wait is shown to this person. */
  ask: AskOptions | undefined;
}

/** Runs `fn` under the store's lock, and reports a long wait for the lock. */
export async function takeTurn<T>(
  store: CredentialStore,
  fn: () => Promise<T>,
  options: WithLockOptions<T>,
  report: WaitReport,
): Promise<T> {
  using wait = watchWait(report);
  let hasBegun = false;
  try {
    return await store.withLock(() => {
      hasBegun = true;
      wait[Symbol.dispose]();
      return fn();
    }, options);
  } catch (error) {
    throw hasBegun ? error : namingProvider(error, report.issuer);
  }
}

/** A holder of this lock has little to do but to wait for the provider. */
function namingProvider(error: unknown, issuer: string): unknown {
  if (!(error instanceof CredentialsBackendError) || error.code !== "backend_locked") return error;
  return new CredentialsBackendError(
    error.code,
    `${error.message} The holder most likely waits for an answer of ${issuer}: check that the ` +
      `provider can be reached.`,
    error.cause === undefined ? undefined : { cause: error.cause },
  );
}

/** Reports a wait for a lock that is long, and its end. Further disposals do nothing. */
function watchWait({ emit, issuer, ask }: WaitReport): Disposable {
  const start = performance.now();
  const waitedMs = () => Math.round(performance.now() - start);
  let notice: Promise<{ erase(): void } | undefined> | undefined;
  let isLong = false;
  const onLong = () => {
    isLong = true;
    emit?.({ type: "lock_waiting", waitedMs: waitedMs() });
    if (ask === undefined) return;
    const text = `Another process is refreshing the sign-in at ${issuer}; waiting for it …`;
    notice = loadTerminal().then(({ isShownByCaller, terminalNotice }) =>
      isShownByCaller(ask) ? undefined : terminalNotice(text)
    );
    notice.catch(() => undefined);
  };
  // Not by setTimeout, whose first use in a process takes Deno some 4 ms.
  const timer = AbortSignal.timeout(NOTICE_MS);
  timer.addEventListener("abort", onLong, { once: true });
  return {
    [Symbol.dispose]() {
      timer.removeEventListener("abort", onLong);
      if (!isLong) return;
      isLong = false;
      emit?.({ type: "lock_waited", waitedMs: waitedMs() });
      notice?.then((notice) => notice?.erase()).catch(() => undefined);
    },
  };
}
