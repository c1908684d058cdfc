import type { Clock, Delay, Stopwatch } from "../../backends/common/promises.ts";
import type { AuthEventDetail } from "../auth_event.ts";

/** Sends one event to the caller's `onEvent`. */
export type Emit = (detail: AuthEventDetail) => void;

/** A session's means of making requests, telling the time and waiting. */
export interface Runtime {
  fetch: typeof globalThis.fetch;
  now: Clock;
  /** The same as `now` where the caller gave a clock. */
  elapsed: Stopwatch;
  delay: Delay;
  timeoutMs: number;
  /** By how many seconds the provider's clock is ahead of this computer's, by its last answer. */
  skew?: number | undefined;
  /** The secrets that the session knows, present and former: no message may repeat one. */
  secrets: Set<string>;
  /** Only where the caller gave `onEvent`. */
  emit?: Emit | undefined;
}
