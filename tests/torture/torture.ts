// deno-lint-ignore-file no-console
import { parseArgs } from "node:util";
import { tempDir } from "../support/temp_home.ts";
import { fillDisk } from "./fill_disk.ts";
import { killWriters } from "./kill_writers.ts";
import { mixedWriters } from "./mixed_writers.ts";
import { mutateFile } from "./mutate_file.ts";
import { stampede } from "./stampede.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

const HELP = `Tortures the file backend and the refresh, and tells what held.

deno task torture [options]
  --kills N       writers killed with SIGKILL        (default 2000)
  --rounds N      rounds of 64 processes, one token  (default 100)
  --processes N   processes in a round               (default 64)
  --updates N     updates by 8 processes, one file   (default 10000)
  --mutations N   byte flips and cuts of the file    (default 10000)
  --fills N       writes to a full disk              (default 500)
  --seed N        for the random choices             (default: of the clock)
  --help
A count of 0 leaves that torture out. Ends with 1 when something broke.`;

const COUNTS = {
  kills: 2000,
  rounds: 100,
  processes: 64,
  updates: 10_000,
  mutations: 10_000,
  fills: 500,
  seed: Date.now() % 2 ** 31,
};

const counts = readCounts();
const results: TortureResult[] = [];
console.log(`seed ${counts.seed}`);
await run(counts.kills, killWriters);
await run(counts.rounds, (options) => stampede({ ...options, processes: counts.processes }));
await run(counts.updates, mixedWriters);
await run(counts.mutations, mutateFile);
await run(counts.fills, fillDisk);
printTable();
Deno.exit(results.some(({ failures }) => failures.length > 0) ? 1 : 0);

function readCounts(): typeof COUNTS {
  const names = Object.keys(COUNTS) as (keyof typeof COUNTS)[];
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      ...Object.fromEntries(names.map((name) => [name, { type: "string" as const }])),
      help: { type: "boolean" },
    },
  });
  if (values.help) {
    console.log(HELP);
    Deno.exit(0);
  }
  const given = values as Record<string, string | undefined>;
  const entries = names.map((name) => [name, Number(given[name] ?? COUNTS[name])] as const);
  const wrong = entries.find(([, value]) => !Number.isInteger(value) || value < 0);
  if (wrong !== undefined) {
    console.error(`Cannot run: --${wrong[0]} is not a whole number. See --help.`);
    Deno.exit(2);
  }
  return Object.fromEntries(entries) as typeof COUNTS;
}

async function run(
  count: number,
  torture: (options: TortureOptions) => Promise<TortureResult>,
): Promise<void> {
  if (count === 0) return;
  await using folder = await tempDir("torture-");
  const begin = performance.now();
  const result = await torture({ count, seed: counts.seed, folder: folder.path });
  results.push(result);
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.log(
    `${result.failures.length === 0 ? "held  " : "BROKE "} ${result.name} (${seconds} s)`,
  );
  for (const failure of result.failures.slice(0, 10)) console.log(`       ${failure}`);
}

function printTable(): void {
  console.log("\n| torture | found |\n|---|---|");
  for (const { name, figures } of results) {
    const cells = Object.entries(figures).map(([what, value]) => `${what}: ${value}`);
    console.log(`| ${name} | ${cells.join(", ")} |`);
  }
}
