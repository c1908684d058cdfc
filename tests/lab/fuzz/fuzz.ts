// deno-lint-ignore-file no-console
/**
 * Feeds every parser of text from outside with hostile input: `deno task fuzz --seconds 60`.
 *
 * The inputs are made in a child process with little memory. One that hangs or dies is a fault, too,
 * and its seed is known, since the child names each batch before it begins. `--seed` gives the same
 * batches again, and `--target` those of one parser.
 */
import { parseArgs } from "node:util";
import { ALL, spawnDeno } from "../../support/deno_process.ts";
import { linesOf } from "../../support/lines_of.ts";
import { quotePosix } from "../../../backends/common/platform.ts";
import type { FuzzLine } from "./fuzz_child.ts";
import { TARGETS } from "./targets.ts";

/** A child that says nothing for so long hangs. */
const SILENCE_MS = 120_000;
const CHILD = new URL("./fuzz_child.ts", import.meta.url).href;
const USAGE = `deno task fuzz [--seconds N] [--seed S] [--target NAME]

${TARGETS.map(({ name }) => `  ${name}`).join("\n")}`;

const { seconds, seed, target } = readFlags();
console.log(`seed ${seed}`);
const runs = new Map<string, number>();
const faults: string[] = [];
await watch();
for (const [name, count] of runs) console.log(`${String(count).padStart(8)}  ${name}`);
const total = runs.values().reduce((sum, count) => sum + count, 0);
for (const fault of faults) console.log(`\nFAULT  ${fault}`);
console.log(`\n${total} inputs for ${runs.size} parsers, ${faults.length} faults`);
Deno.exit(faults.length === 0 ? 0 : 1);

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

async function watch(): Promise<void> {
  const flags = ["--v8-flags=--max-old-space-size=768", ...ALL];
  const args = [String(seconds), String(seed), ...(target === undefined ? [] : [target])];
  const child = spawnDeno({ file: CHILD, flags, args, stderr: "inherit" });
  let begun: FuzzLine | undefined;
  let timer = setTimeout(() => child.kill("SIGKILL"), SILENCE_MS);
  for await (const line of linesOf(child.stdout)) {
    clearTimeout(timer);
    timer = setTimeout(() => child.kill("SIGKILL"), SILENCE_MS);
    const said: FuzzLine = JSON.parse(line);
    begun = said.runs === undefined ? said : undefined;
    if (said.runs !== undefined) report(said);
  }
  clearTimeout(timer);
  const { success } = await child.status;
  if (!success) faults.push(`${describe(begun)}: it hung or died, and took the process with it`);
}

function report(line: FuzzLine): void {
  runs.set(line.target, (runs.get(line.target) ?? 0) + line.runs!);
  if (line.failure === undefined) return;
  const { reason, input } = line.failure;
  faults.push(`${describe(line)}: ${reason}\n       ${input}`);
}

/** A batch, with the command that runs it again. */
function describe(line: FuzzLine | undefined): string {
  if (line === undefined) return "before or after all batches";
  const again = `--seconds 1 --seed ${line.seed} --target ${quotePosix(line.target)}`;
  return `${line.target} (deno task fuzz ${again})`;
}
