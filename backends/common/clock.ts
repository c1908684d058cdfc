import { delay } from "./delay.ts";

/** Time for waits and deadlines. */
export interface Clock {
  /** Milliseconds of a clock that is never set: only differences count. */
  now(): number;
  /** Waits `ms` milliseconds; throws the signal's reason when it aborts. */
  delay(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The time since the process began. */
export const MONOTONIC_CLOCK: Clock = { now: () => performance.now(), delay };
