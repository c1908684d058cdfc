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
