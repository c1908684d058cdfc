import type { Stopwatch } from "../../../backends/common/promises.ts";

/** CLOCK_MONOTONIC of Linux. */
const MONOTONIC = 1;

/**
 * A stopwatch that reads the same in all processes of this machine, in milliseconds. `performance.now`
 * begins anew in each process. Linux alone.
 */
export function openMonotonicClock(): Stopwatch {
  const { symbols } = Deno.dlopen("libc.so.6", {
    clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  });
  const time = new BigInt64Array(2);
  return () => {
    symbols.clock_gettime(MONOTONIC, time);
    return Number(time[0]) * 1000 + Number(time[1]) / 1e6;
  };
}
