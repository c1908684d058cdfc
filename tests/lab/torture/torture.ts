// deno-lint-ignore-file no-console
/** Tortures the stores and the refresh, and tells what held: `deno task torture --help`. */
import { parseArgs } from "node:util";
import { tempDir } from "../../support/temp_home.ts";
import type { TortureResult } from "./torture_result.ts";
import { TORTURES } from "./tortures.ts";

const HELP = `deno task torture [--NAME…] [--store NAME] [--count N] [--seed N]

${
  Object.entries(TORTURES).map(([name, { about, count, stores }]) =>
    `  --${name.padEnd(15)} ${about} (${count}; ${Object.keys(stores).join(", ")})`
  ).join("\n")
}

Without a name all run. Ends with 1 when something broke.`;

async function main(): Promise<number> {
  const options: Record<string, { type: "boolean" | "string" }> = {};
  for (const name of [...Object.keys(TORTURES), "help"]) options[name] = { type: "boolean" };
  for (const name of ["store", "count", "seed"]) options[name] = { type: "string" };
  const values: Record<string, unknown> = parseArgs({ args: Deno.args, options }).values;
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const chosen = Object.entries(TORTURES).filter(([name]) => values[name]);
  const seed = Number(values.seed ?? Date.now() % 2 ** 31);
  console.log(`seed ${seed}`);
  let broken = 0;
  for (const [name, torture] of chosen.length > 0 ? chosen : Object.entries(TORTURES)) {
    for (const [store, startStore] of Object.entries(torture.stores)) {
      if (values.store !== undefined && values.store !== store) continue;
      const count = Number(values.count ?? torture.count);
      await using folder = await tempDir("torture-");
      const begin = performance.now();
      const result = await torture.run({ count, seed, folder: folder.path, startStore });
      const seconds = Math.round((performance.now() - begin) / 1000);
      tell(`${name}, ${store}, ${count} times, ${seconds} s`, result);
      if (result.failures.length > 0) broken++;
    }
  }
  return broken > 0 ? 1 : 0;
}

function tell(name: string, { figures, failures }: TortureResult): void {
  const cells = Object.entries(figures).map(([finding, value]) => `${finding}: ${value}`);
  console.log(`${failures.length === 0 ? "held " : "BROKE"} ${name}: ${cells.join(", ")}`);
  for (const failure of failures.slice(0, 10)) console.log(`      ${failure.split("\n")[0]}`);
}

if (import.meta.main) Deno.exit(await main());
