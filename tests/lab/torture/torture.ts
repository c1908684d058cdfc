// deno-lint-ignore-file no-console
/** Tortures the stores and the refresh, and tells what held: `deno task torture --help`. */
import { parseArgs } from "node:util";
import { tempDir } from "../../support/temp_home.ts";
import { writeBesidePython } from "./beside_python.ts";
import { raceMigration } from "./migration_race.ts";
import { refreshBesidePython } from "./refresh_beside_python.ts";
import { stampede } from "./stampede.ts";
import { stopRefresh } from "./stop_refresh.ts";
import { FILE_STORES, SERVER_STORES, type StartStore } from "./store.ts";
import type { TortureOptions, TortureResult } from "./torture_result.ts";

/** A torture, by its flag. */
interface Torture {
  about: string;
  count: number;
  stores: Record<string, StartStore>;
  run: (options: TortureOptions) => Promise<TortureResult>;
}

const { file, kv } = FILE_STORES as Record<"file" | "kv", StartStore>;
const ALL_STORES = { ...FILE_STORES, ...SERVER_STORES };

const TORTURES: Record<string, Torture> = {
  killed: {
    about: "processes killed at each of 7 steps of their refresh, and the next start",
    count: 20,
    stores: ALL_STORES,
    run: stopRefresh,
  },
  paused: {
    about: "processes stopped for 20 s at each of these steps",
    count: 3,
    stores: ALL_STORES,
    run: (options) => stopRefresh({ ...options, pauseMs: 20_000 }),
  },
  stampede: {
    about: "rounds of 16 processes with one expired token",
    count: 20,
    stores: ALL_STORES,
    run: stampede,
  },
  python: {
    about: "writes and sign-outs beside those of the ValidMind Python library, in one file",
    count: 200,
    stores: { file },
    run: writeBesidePython,
  },
  "python-refresh": {
    about: "refreshes beside those of the library, at random times of each other",
    count: 200,
    stores: { file },
    run: refreshBesidePython,
  },
  migration: {
    about: "sign-outs and sign-ins of entries that are being moved",
    count: 300,
    stores: { file, kv, vault: SERVER_STORES.vault! },
    run: raceMigration,
  },
};

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
  const chosen = Object.keys(TORTURES).filter((name) => values[name]);
  const seed = Number(values.seed ?? Date.now() % 2 ** 31);
  console.log(`seed ${seed}`);
  let broken = 0;
  for (const name of chosen.length > 0 ? chosen : Object.keys(TORTURES)) {
    const torture = TORTURES[name]!;
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
