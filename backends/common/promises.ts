import { CredentialsBackendError } from "../credentials_backend_error.ts";

/**
 * Gives the time in milliseconds since the epoch. The system's clock may be set at any moment, so that
 * it serves for times that are stored or shown, not for waits.
 */
export type Clock = () => number;

/**
 * Gives the time in milliseconds on a clock that is never set. Its start means nothing: only
 * differences count. For waits and deadlines.
 */
export type Stopwatch = () => number;

/** Waits `ms` milliseconds; throws the signal's reason when it aborts. */
export type Delay = (ms: number, signal?: AbortSignal) => Promise<void>;

/** A stopwatch, and waits that it measures. Tests replace both. */
export interface Timer {
  readonly now: Stopwatch;
  readonly delay: Delay;
}

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

/**
 * Runs a function in `ms` milliseconds, unless it is disposed of before. It keeps no process alive. Not by
 * `setTimeout`, whose first use in a process takes Deno some 4 ms.
 */
export function runLater(ms: number, run: () => void): Disposable {
  const end = new AbortController();
  AbortSignal.timeout(Math.ceil(ms)).addEventListener("abort", run, { signal: end.signal });
  return { [Symbol.dispose]: () => end.abort() };
}

/** The time since the process began. */
export const SYSTEM_TIMER: Timer = { now: () => performance.now(), delay };

/**
 * Holds the signals that are waited for: Deno 2.7 drops one of `AbortSignal.any` that only its listener knows,
 * and its abort never comes.
 */
const listeners = new Set<() => void>();

/** Waits for a promise. Throws the reason of `signal` when it aborts first. */
export async function untilAborted<T>(wait: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return await wait;
  void wait.catch(() => undefined); // it may fail later, when nobody waits any more
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  listeners.add(onAbort);
  try {
    return await Promise.race([wait, aborted.promise]);
  } finally {
    listeners.delete(onAbort);
    signal.removeEventListener("abort", onAbort);
  }
}

/**
 * The result of `run`, or the error that `over` makes after `ms` milliseconds. Keeps no process of Node alive.
 * Not by `setTimeout`, whose first use in a process takes Deno some 4 ms.
 */
export async function within<T>(
  ms: number,
  run: (late: AbortSignal) => Promise<T>,
  over: () => Error,
): Promise<T> {
  const late = AbortSignal.timeout(Math.ceil(Math.min(ms, LONGEST_TIMER_MS))); // Node takes no fraction
  try {
    return await untilAborted(run(late), late);
  } catch (error) {
    if (late.aborted) throw over();
    throw error;
  }
}

/**
 * A promised value that is made at the first call and kept for the next ones. A failure is not kept:
 * the next call tries again.
 *
 * @example
 * ```ts ignore
 * readonly #store = new Once<Store>();
 * const open = () => this.#store.get(() => openStore(path));
 * ```
 */
export class Once<T> {
  #kept: Promise<T> | undefined;

  get kept(): Promise<T> | undefined {
    return this.#kept;
  }

  /** The kept promise; where there is none, the one that `make` gives. */
  get(make: () => Promise<T>): Promise<T> {
    return this.#kept ?? this.keep(Promise.try(make));
  }

  /** Keeps a promise in place of the earlier one, until it fails. */
  keep(coming: Promise<T>): Promise<T> {
    this.#kept = coming;
    void coming.catch(() => {
      if (this.#kept === coming) this.#kept = undefined;
    });
    return coming;
  }

  /** Forgets the promise, and gives it to the caller, for instance to close its value. */
  forget(): Promise<T> | undefined {
    const forgotten = this.#kept;
    this.#kept = undefined;
    return forgotten;
  }
}

/** Runs functions one at a time for each key, in the order of the calls, within this process. */
export class Queue {
  readonly #timeoutMs: number;
  readonly #tails = new Map<string, Promise<unknown>>();

  /** @param timeoutMs Longest wait for the earlier runs of the same key, in milliseconds. */
  constructor(timeoutMs = 30_000) {
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Runs `fn` after all earlier runs of the same key have ended, however they end. The signal ends the
   * wait. It does not interrupt a function that has begun to run.
   */
  async run<T>(key: string, fn: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const before = this.#tails.get(key);
    const own = Promise.withResolvers<void>();
    const tail = Promise.all([before, own.promise]);
    this.#tails.set(key, tail);
    try {
      if (before) await this.#wait(before, signal);
      return await fn();
    } finally {
      own.resolve();
      // Not before the earlier runs have ended: after a wait that was given up, they still run.
      void tail.then(() => this.#tails.get(key) === tail && this.#tails.delete(key));
    }
  }

  /** By a timer that keeps the process alive: in Node that of an AbortSignal does not. */
  async #wait(before: Promise<unknown>, signal?: AbortSignal) {
    const ms = this.#timeoutMs;
    const over = new AbortController();
    const late = delay(ms, over.signal).then(() => Promise.reject(timedOut(ms)));
    try {
      await untilAborted(Promise.race([before, late]), signal);
    } finally {
      over.abort();
    }
  }
}

function timedOut(ms: number) {
  return new CredentialsBackendError("backend_locked", {
    action: `lock credentials within ${ms} ms`,
    reason: "another part of this process holds the lock, such as a refresh whose provider " +
      "does not answer",
    remedy: "Wait for it.",
  });
}
