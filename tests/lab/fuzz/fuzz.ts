// deno-lint-ignore-file no-console
/**
 * Feeds every parser of text from outside with hostile input: `deno task fuzz --seconds 60`.
 *
 * Each target is named before its turn, so that one that hangs, or ends the process, is known. `--seed`
 * gives the same inputs again, and `--target` those of one parser.
 */
import { parseArgs } from "node:util";
import { quotePosix } from "../../../backends/common/runtime.ts";
import { runTarget } from "./run_target.ts";
import { TARGETS } from "./targets.ts";

const USAGE = `deno task fuzz [--seconds N] [--seed S] [--target NAME]

${TARGETS.map(({ name }) => `  ${name}`).join("\n")}`;

const text = { type: "string" } as const;
const options = { seconds: text, seed: text, target: text, help: { type: "boolean" } } as const;
const { values } = parseArgs({ args: Deno.args, options });
const seconds = Number(values.seconds ?? 60);
const seed = Number(values.seed ?? Date.now() % 2 ** 31);
const targets = TARGETS.filter(({ name }) => name === (values.target ?? name));
if (values.help || !(seconds > 0) || !Number.isInteger(seed) || targets.length === 0) {
  console.log(USAGE);
  Deno.exit(values.help ? 0 : 2);
}
let [inputs, faults] = [0, 0];
for (const target of targets) {
  console.log(`deno task fuzz --seed ${seed} --target ${quotePosix(target.name)}`);
  const { runs, failure } = await runTarget(target, seed, seconds * 1000 / targets.length);
  inputs += runs;
  if (failure === undefined) continue;
  faults++;
  console.log(`\nFAULT  ${failure.reason}\n       ${failure.input}\n`);
}
console.log(`\n${inputs} inputs, ${faults} faults`);
Deno.exit(faults === 0 ? 0 : 1); // whatever a target has left running
