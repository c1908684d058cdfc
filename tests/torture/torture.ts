// deno-lint-ignore-file no-console
import { parseArgs } from "node:util";
import { tempDir } from "../support/temp_home.ts";
import { fillDisk } from "./fill_disk.ts";
import { killServer } from "./kill_server.ts";
import { killWriters } from "./kill_writers.ts";
import { mixedWriters } from "./mixed_writers.ts";
import { mutateFile } from "./mutate_file.ts";
import { stampede } from "./stampede.ts";
import { SERVER_STORES, type StartStore } from "./store.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

const HELP = `Tortures the stores and the refresh, and tells what held.

deno task torture [options]            the file backend
  --kills N       writers killed with SIGKILL        (default 2000)
  --rounds N      rounds of 64 processes, one token  (default 100)
  --processes N   processes in a round               (default 64)
  --updates N     updates by 8 processes, one file   (default 10000)
  --mutations N   byte flips and cuts of the file    (default 10000)
  --fills N       writes to a full disk              (default 500)

deno task torture --servers [options]  the stores of \`deno task servers\`: ${
  Object.keys(SERVER_STORES).join(", ")
}
  --rounds N      rounds of 32 processes, one token  (default 50)
  --processes N   processes in a round               (default 32)
  --kills N       refreshes with the server killed   (default 200)
  --store NAME    that store alone                   (default all)

  --seed N        for the random choices             (default: of the clock)
  --help
A count of 0 leaves that torture out. Ends with 1 when something broke.`;

const seed = Date.now() % 2 ** 31;
const FILE_COUNTS = {
  kills: 2000,
  rounds: 100,
  processes: 64,
  updates: 10_000,
  mutations: 10_000,
  fills: 500,
  seed,
};
const SERVER_COUNTS = { rounds: 50, processes: 32, kills: 200, seed };

const results: TortureResult[] = [];
if (Deno.args.includes("--servers")) await tortureServers(readCounts(SERVER_COUNTS));
else await tortureFile(readCounts(FILE_COUNTS));
printTable();
Deno.exit(results.some(({ failures }) => failures.length > 0) ? 1 : 0);

async function tortureFile(counts: typeof FILE_COUNTS): Promise<void> {
  const { seed, processes } = counts;
  await run(counts.kills, seed, killWriters);
  await run(counts.rounds, seed, (options) => stampede({ ...options, processes }));
  await run(counts.updates, seed, mixedWriters);
  await run(counts.mutations, seed, mutateFile);
  await run(counts.fills, seed, fillDisk);
}

async function tortureServers(counts: typeof SERVER_COUNTS): Promise<void> {
  const { seed, processes } = counts;
  for (const [name, startStore] of chosenStores()) {
    const named = async (torture: Promise<TortureResult>) => {
      const result = await torture;
      return { ...result, name: `${name}: ${result.name}` };
    };
    await run(
      counts.rounds,
      seed,
      (options) => named(stampede({ ...options, processes, startStore })),
    );
    await run(counts.kills, seed, (options) => named(killServer({ ...options, startStore })));
  }
}

function chosenStores(): [name: string, start: StartStore][] {
  const { store } = parseArgs({ strict: false, options: { store: { type: "string" } } }).values;
  const stores = Object.entries(SERVER_STORES)
    .filter(([name]) => store === undefined || store === name);
  if (stores.length > 0) return stores;
  console.error("Cannot run: --store is none of those in --help.");
  Deno.exit(2);
}

function readCounts<T extends Record<string, number>>(defaults: T): T {
  const names = Object.keys(defaults);
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      ...Object.fromEntries(names.map((name) => [name, { type: "string" as const }])),
      servers: { type: "boolean" },
      store: { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (values.help) {
    console.log(HELP);
    Deno.exit(0);
  }
  const given = values as Record<string, string | undefined>;
  const entries = names.map((name) => [name, Number(given[name] ?? defaults[name])] as const);
  const wrong = entries.find(([, value]) => !Number.isInteger(value) || value < 0);
  if (wrong !== undefined) {
    console.error(`Cannot run: --${wrong[0]} is not a whole number. See --help.`);
    Deno.exit(2);
  }
  const counts = Object.fromEntries(entries) as T;
  console.log(`seed ${counts.seed}`);
  return counts;
}

async function run(
  count: number,
  seed: number,
  torture: (options: TortureOptions) => Promise<TortureResult>,
): Promise<void> {
  if (count === 0) return;
  await using folder = await tempDir("torture-");
  const begin = performance.now();
  const result = await torture({ count, seed, folder: folder.path });
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
