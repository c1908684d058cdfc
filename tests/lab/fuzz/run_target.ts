import * as fc from "fast-check";
import { printable } from "../../../backends/common/printable.ts";
import { redact } from "../../../backends/common/redaction.ts";
import { busyTime } from "../../support/busy_time.ts";
import { SECRETS } from "../../support/entries.ts";
import type { FuzzTarget } from "./fuzz_target.ts";

/** The most time of the processor for one input. A second try counts: some of it may be another test's. */
const LONGEST_MS = 1000;
/** The most memory that one input may take. */
const LARGEST_BYTES = 256 * 1024 * 1024;
/** Shrinking ends after this. */
const SHRINK_MS = 20_000;

/** What came out of a run. */
export interface FuzzOutcome {
  readonly runs: number;
  /** The reason, and the smallest input that shows it, without secrets. */
  readonly failure?: { readonly reason: string; readonly input: string };
}

/** Runs a target with inputs for so long, or with so many. The same seed gives the same inputs. */
export async function runTarget(
  { input, run }: FuzzTarget,
  seed: number,
  ms: number,
  numRuns = Number.MAX_SAFE_INTEGER,
): Promise<FuzzOutcome> {
  const property = fc.asyncProperty(input, async (one) => {
    if (await timed(run, one) <= LONGEST_MS) return;
    const ms = await timed(run, one);
    if (ms > LONGEST_MS) throw new Error(`it takes ${Math.round(ms)} ms`);
  });
  const first = await fc.check(property, { seed, numRuns, interruptAfterTimeLimit: ms });
  const path = first.counterexamplePath;
  // Without one it did not fail, or a busy machine gave it no time for a single input.
  if (path === null) return { runs: first.numRuns };
  const shrunk = await fc.check(property, { seed, path, interruptAfterTimeLimit: SHRINK_MS });
  const result = shrunk.failed ? shrunk : first; // a fault may not come again
  const error = result.errorInstance;
  return {
    runs: first.numRuns,
    failure: {
      reason: clean(error instanceof Error ? error.message : "no error"),
      input: clean(JSON.stringify(result.counterexample?.[0]) ?? "none"),
    },
  };
}

async function timed(run: FuzzTarget["run"], input: unknown): Promise<number> {
  const before = Deno.memoryUsage().rss;
  const ms = await busyTime(() => run(input));
  const bytes = Deno.memoryUsage().rss - before;
  if (bytes > LARGEST_BYTES) throw new Error(`it takes ${Math.round(bytes / 2 ** 20)} MiB`);
  return ms;
}

/** A text for a report, which may be public. */
function clean(text: string): string {
  return printable(redact(text.slice(0, 20_000), Object.values(SECRETS)), 2000);
}
