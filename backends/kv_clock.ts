import { delay } from "./delay.ts";

/** Time for a Deno KV store. */
export interface KvClock {
  /** Milliseconds of a clock that is never set: only differences count. */
  now(): number;
  /** Waits. */
  delay(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The time since the process began, and real waiting. */
export const SYSTEM_CLOCK: KvClock = { now: () => performance.now(), delay };
