import { untilAborted } from "../../backends/common/delay.ts";
import type { WithLockOptions } from "../../backends/oidc_credentials_backend.ts";
import type { Emit } from "../options/runtime.ts";
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
  /** The issuer of the awaited tokens; `undefined` where nothing may be shown to the person. */
  issuer: string | undefined;
}

/** Runs `fn` under the store's lock, and reports a long wait for the lock. */
export async function takeTurn<T>(
  store: CredentialStore,
  fn: () => Promise<T>,
  options: WithLockOptions<T>,
  report: WaitReport,
): Promise<T> {
  using wait = new LockWait(report);
  return await store.withLock(() => {
    wait[Symbol.dispose]();
    return fn();
  }, options);
}

/** One wait for a lock, which is reported when it is long. */
class LockWait implements Disposable {
  readonly #emit: Emit | undefined;
  readonly #start = performance.now();
  // Not by setTimeout, whose first use in a process takes Deno some 4 ms.
  readonly #timer = AbortSignal.timeout(NOTICE_MS);
  readonly #onLong: () => void;
  #notice: Promise<{ erase(): void }> | undefined;
  #isLong = false;

  constructor({ emit, issuer }: WaitReport) {
    this.#emit = emit;
    this.#onLong = () => this.#report(issuer);
    this.#timer.addEventListener("abort", this.#onLong, { once: true });
  }

  /** Ends the wait. Further calls do nothing. */
  [Symbol.dispose](): void {
    this.#timer.removeEventListener("abort", this.#onLong);
    if (!this.#isLong) return;
    this.#isLong = false;
    this.#emit?.({ type: "lock_waited", waitedMs: this.#waitedMs() });
    this.#notice?.then((notice) => notice.erase()).catch(() => undefined);
  }

  #report(issuer: string | undefined): void {
    this.#isLong = true;
    this.#emit?.({ type: "lock_waiting", waitedMs: this.#waitedMs() });
    if (issuer === undefined) return;
    const text = `Another process is refreshing the sign-in at ${issuer}; waiting for it …`;
    this.#notice = loadTerminal().then(({ terminalNotice }) => terminalNotice(text));
    this.#notice.catch(() => undefined);
  }

  #waitedMs(): number {
    return Math.round(performance.now() - this.#start);
  }
}
