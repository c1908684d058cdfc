// deno-lint-ignore-file no-console
import { parseArgs } from "node:util";
import { tempDir } from "../../support/temp_home.ts";
import { MODES } from "./modes.ts";
import type { NamedStore, Torture, TortureMode } from "./torture_mode.ts";
import type { TortureResult } from "./torture_result.ts";

/** The flags of one call. */
interface Call {
  mode: TortureMode;
  counts: Record<string, number>;
  seed: number;
  stores: (NamedStore | undefined)[];
}

/** More findings of one torture have a table of their own. */
const MOST_CELLS = 10;

const results: TortureResult[] = [];
const { mode, counts, seed, stores } = readCall();
console.log(`seed ${seed}`);
for (const store of stores) {
  for (const torture of mode.tortures(counts, store)) await run(torture, store);
}
printTable();
Deno.exit(results.some(({ failures }) => failures.length > 0) ? 1 : 0);

function readCall(): Call {
  const flags = parseFlags();
  if (flags.help === true) {
    console.log(helpText());
    Deno.exit(0);
  }
  const chosen = Object.keys(MODES).filter((name) => flags[name] === true);
  if (chosen.length > 1) refuse(`--${chosen.join(" and --")} are different modes`);
  const mode = MODES[chosen[0] ?? ""]!;
  const counts: Record<string, number> = {};
  for (const [name, [byDefault]] of Object.entries(mode.counts)) {
    counts[name] = readCount(name, flags[name], byDefault);
  }
  const seed = readCount("seed", flags.seed, Date.now() % 2 ** 31);
  return { mode, counts, seed, stores: readStores(mode, flags.store) };
}

function parseFlags(): Record<string, string | boolean | undefined> {
  const options: Record<string, { type: "string" | "boolean" }> = {
    seed: { type: "string" },
    store: { type: "string" },
    help: { type: "boolean" },
  };
  for (const [name, { counts }] of Object.entries(MODES)) {
    if (name !== "") options[name] = { type: "boolean" };
    for (const count of Object.keys(counts)) options[count] = { type: "string" };
  }
  try {
    return parseArgs({ args: Deno.args, options }).values as Record<string, string | boolean>;
  } catch (error) {
    refuse((error as Error).message);
  }
}

function readCount(name: string, given: string | boolean | undefined, byDefault: number): number {
  const value = Number(given ?? byDefault);
  if (!Number.isInteger(value) || value < 0) refuse(`--${name} is not a whole number`);
  return value;
}

function readStores(
  { stores }: TortureMode,
  wanted: string | boolean | undefined,
): (NamedStore | undefined)[] {
  if (stores === undefined) return [undefined];
  const named = Object.entries(stores).map(([name, start]) => ({ name, start }));
  const chosen = named.filter(({ name }) => wanted === undefined || name === wanted);
  if (chosen.length === 0) refuse("--store is not a store of this mode");
  return chosen;
}

function refuse(reason: string): never {
  console.error(`Cannot run: ${reason}. See --help.`);
  Deno.exit(2);
}

async function run({ count, run }: Torture, store: NamedStore | undefined): Promise<void> {
  if (count === 0) return;
  await using folder = await tempDir("torture-");
  const begin = performance.now();
  const found = await run({ count, seed, folder: folder.path });
  const name = store === undefined ? found.name : `${store.name}: ${found.name}`;
  results.push({ ...found, name });
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.log(`${found.failures.length === 0 ? "held  " : "BROKE "} ${name} (${seconds} s)`);
  for (const failure of found.failures.slice(0, 10)) {
    console.log(`       ${failure.split("\n")[0]}`);
  }
}

function printTable(): void {
  const isLong = ({ figures }: TortureResult) => Object.keys(figures).length > MOST_CELLS;
  console.log("\n| torture | found |\n|---|---|");
  for (const { name, figures } of results.filter((result) => !isLong(result))) {
    const cells = Object.entries(figures).map(([finding, value]) => `${finding}: ${value}`);
    console.log(`| ${name} | ${cells.join(", ")} |`);
  }
  for (const { name, figures } of results.filter(isLong)) {
    console.log(`\n| ${name} | found |\n|---|---|`);
    for (const [finding, value] of Object.entries(figures)) {
      console.log(`| ${finding} | ${value} |`);
    }
  }
}

function helpText(): string {
  const modes = Object.entries(MODES).map(([name, { about, counts, stores }]) => {
    const call = `deno task torture ${name === "" ? "" : `--${name} `}[options]`;
    const lines = Object.entries(counts).map(([count, [byDefault, meaning]]) =>
      `  ${`--${count} N`.padEnd(15)} ${meaning} (default ${byDefault})`
    );
    if (stores !== undefined) {
      lines.push(`  --store NAME    ${Object.keys(stores).join(", ")} (default all)`);
    }
    return [`${call}\n  ${about}`, ...lines].join("\n");
  });
  return `Tortures the stores and the refresh, and tells what held.

${modes.join("\n\n")}

Of each mode
  --seed N        for the random choices (default: of the clock)
  --help
A count of 0 leaves that torture out. Ends with 1 when something broke.`;
}
