import { summarize, type Summary } from "./summary.ts";

/** A call that is timed within this process. */
export interface TimedCall {
  name: string;
  run: () => unknown;
}

/**
 * Times calls by turns: batches of `perBatch` calls each, awaited one after the other.
 *
 * @returns Microseconds per call, by name.
 */
export async function measureCalls(
  calls: readonly TimedCall[],
  { batches, perBatch }: { batches: number; perBatch: number },
): Promise<Map<string, Summary>> {
  const times = new Map(calls.map(({ name }) => [name, [] as number[]]));
  for (let batch = -2; batch < batches; batch++) {
    for (const { name, run } of calls) {
      const begin = performance.now();
      for (let call = 0; call < perBatch; call++) await run();
      const us = (performance.now() - begin) * 1000 / perBatch;
      if (batch >= 0) times.get(name)!.push(us);
    }
  }
  return new Map([...times].map(([name, values]) => [name, summarize(values)]));
}
