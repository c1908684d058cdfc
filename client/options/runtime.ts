import type { AuthEventDetail } from "../auth_event.ts";

/** Sends one event to the caller's `onEvent`. */
export type Emit = (detail: AuthEventDetail) => void;

/** A session's means of making requests, telling the time and waiting. */
export interface Runtime {
  fetch: typeof globalThis.fetch;
  /** Milliseconds since the epoch. */
  now: () => number;
  /**
   * Milliseconds on a clock that nobody sets, for waits and deadlines. Absent where the caller gave the
   * clock, which is `now` then.
   */
  elapsed?: (() => number) | undefined;
  delay: (ms: number, signal?: AbortSignal) => Promise<void>;
  timeoutMs: number;
  /** Only where the caller gave `onEvent`. */
  emit?: Emit | undefined;
}
