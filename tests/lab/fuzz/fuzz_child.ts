// deno-lint-ignore-file no-console
/** The process that `fuzz.ts` watches: one JSON line before each batch, and one after it. */
import { type FuzzOutcome, runTarget } from "./run_target.ts";
import { TARGETS } from "./targets.ts";

/** A line of the child. */
export interface FuzzLine extends Partial<FuzzOutcome> {
  readonly target: string;
  readonly seed: number;
}

const BATCH = 100;

if (import.meta.main) {
  const [seconds, first, only] = Deno.args;
  const targets = TARGETS.filter(({ name }) => only === undefined || name === only);
  const failed = new Set<string>();
  const endsAt = performance.now() + Number(seconds) * 1000;
  for (let round = 0; round === 0 || performance.now() < endsAt; round++) {
    const seed = Number(first) + round;
    for (const target of targets) {
      if (round > 0 && performance.now() >= endsAt) break; // each has had its turn
      if (failed.has(target.name)) continue;
      const { name } = target;
      say({ target: name, seed });
      const outcome = await runTarget(target, seed, BATCH);
      if (outcome.failure !== undefined) failed.add(name);
      say({ target: name, seed, ...outcome });
    }
    if (failed.size === targets.length) break;
  }
  Deno.exit(0); // whatever a target has left running
}

function say(line: FuzzLine): void {
  console.log(JSON.stringify(line));
}
