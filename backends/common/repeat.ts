import type { MaybePromise } from "../oidc_credentials_backend.ts";
import { SYSTEM_TIMER, type Timer } from "./promises.ts";

/** The limits of {@linkcode repeat}: whichever is reached first ends it. */
interface Repetition {
  /** The most tries. Without it only the time counts. */
  readonly tries?: number;
  /** The time after which no try begins any more, in milliseconds. Without it only the tries count. */
  readonly withinMs?: number;
  /**
   * About the pause after the first try. Each of the next 19 is longer by as much, and none is regular.
   *
   * @default {5, about the time of a write}
   */
  readonly pauseMs?: number;
  /** Ends the pause, and the tries. */
  readonly signal?: AbortSignal;
  readonly timer?: Timer;
  /** Makes the error of the end. `spent` reads "after 5 tries in 230 ms". */
  readonly over: (spent: string) => Error;
}

/**
 * Tries until an attempt gives a value; `undefined` means "again". The error of an attempt ends the tries.
 */
export async function repeat<T>(
  limits: Repetition,
  attempt: () => MaybePromise<T | undefined>,
): Promise<T> {
  const { tries = Infinity, withinMs = Infinity, pauseMs = 5, signal, over } = limits;
  const { now, delay } = limits.timer ?? SYSTEM_TIMER;
  const begun = now();
  for (let tried = 1;; tried++) {
    signal?.throwIfAborted();
    const result = await attempt();
    if (result !== undefined) return result;

    const ms = now() - begun;
    const leftMs = withinMs - ms;
    if (tried >= tries || leftMs <= 0) {
      throw over(`after ${tried} ${tried === 1 ? "try" : "tries"} in ${Math.round(ms)} ms`);
    }

    const jitter = 0.5 + Math.random(); // two that met once shall not meet each time
    const pause = pauseMs * Math.min(tried, 20) * jitter;
    await delay(Math.min(pause, leftMs), signal);
  }
}
