// deno-lint-ignore-file no-console
/**
 * Feeds every parser of text from outside with hostile input: `deno task fuzz --seconds 60`.
 *
 * Each batch is named before it begins, so that one that hangs, or ends the process, is known. `--seed`
 * gives the same batches again, and `--target` those of one parser.
 */
import { parseArgs } from "node:util";
import { quotePosix } from "../../../backends/common/platform.ts";
import { runTarget } from "./run_target.ts";
import { TARGETS } from "./targets.ts";

const BATCH = 100;
const USAGE = `deno task fuzz [--seconds N] [--seed S] [--target NAME]

${TARGETS.map(({ name }) => `  ${name}`).join("\n")}`;

function readFlags(): { seconds: number; seed: number; target: string | undefined } {
  const text = { type: "string" } as const;
  const options = { seconds: text, seed: text, target: text, help: { type: "boolean" } } as const;
  const { values } = parseArgs({ args: Deno.args, options });
  const given = {
    seconds: Number(values.seconds ?? 60),
    seed: Number(values.seed ?? Date.now() % 2 ** 31),
  };
  const isKnown = values.target === undefined || TARGETS.some(({ name }) => name === values.target);
  const isRight = given.seconds > 0 && Number.isInteger(given.seed) && isKnown;
  if (values.help || !isRight) {
    console.log(USAGE);
    Deno.exit(values.help ? 0 : 2);
  }
  return { ...given, target: values.target };
}

const { seconds, seed: first, target: only } = readFlags();
const targets = new Set(TARGETS.filter(({ name }) => only === undefined || name === only));
const endsAt = performance.now() + seconds * 1000;
let [inputs, faults] = [0, 0];
for (let seed = first; targets.size > 0; seed++) {
  for (const target of targets) {
    if (seed > first && performance.now() >= endsAt) break; // each has had its turn
    const again = `--seconds 1 --seed ${seed} --target ${quotePosix(target.name)}`;
    console.log(`deno task fuzz ${again}`);
    const { runs, failure } = await runTarget(target, seed, BATCH);
    inputs += runs;
    if (failure === undefined) continue;
    faults++;
    targets.delete(target);
    console.log(`\nFAULT  ${failure.reason}\n       ${failure.input}\n`);
  }
  if (performance.now() >= endsAt) break;
}
console.log(`\n${inputs} inputs, ${faults} faults`);
Deno.exit(faults === 0 ? 0 : 1); // whatever a target has left running
