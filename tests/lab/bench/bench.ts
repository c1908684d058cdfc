// deno-lint-ignore-file no-console -- it is a program
/**
 * Measures whole processes that put a stored token into a header (`cold`), or refresh it first
 * (`refresh`), beside scripts that do the least for it, by turns:
 *
 * ```sh
 * deno task bench [cold] [refresh] [entries] [--rounds=30]
 * ```
 *
 * `entries` has the cost of a start, by the number of entries in one file, on Linux.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { credentialKey, FileCredentialsBackend, type OidcCredentials } from "@validmind/auth";
import { ALL, denoCommand } from "../../support/deno_process.ts";
import { entry } from "../../support/entries.ts";
import { ProviderProcess } from "../../support/provider_process.ts";
import { tempDir } from "../../support/temp_home.ts";

/** A program that is timed from its start to its end. */
interface TimedCommand {
  name: string;
  command: readonly [string, ...string[]];
  env: Record<string, string>;
  /** Runs before each start, untimed. */
  before?: () => Promise<void>;
}

/** The highest ratio of this module to the first row. */
const BAR = 1.75;
const OURS = "this module, file";
const ISSUER = "https://login.example.com";
const CLIENT_ID = "bench";

/** The command that runs one of the programs beside this file by Deno. */
export function denoProgram(name: string, ...args: string[]): [string, ...string[]] {
  return denoCommand({ file: `${import.meta.dirname}/programs/${name}`, flags: ALL, args });
}

const SECTIONS: Record<string, (folder: string) => Promise<void>> = {
  entries: measureEntries,
  cold: async (home) => {
    const key = credentialKey(ISSUER, CLIENT_ID);
    await new FileCredentialsBackend({ path: pathIn(home) }).put(key, storedEntry(CLIENT_ID));
    const env = { HOME: home };
    await measure("Cold start to a bearer header from a valid stored token", [
      { name: "read and parse the same file", command: denoProgram("read_parse.ts", key), env },
      { name: OURS, command: denoProgram("cached_start.ts", ISSUER, CLIENT_ID), env },
    ]);
  },
  refresh: async (folder) => {
    for (const answerDelayMs of [0, 20]) {
      await measureRefresh(`${folder}/${answerDelayMs}`, answerDelayMs);
    }
  },
};

/** @param answerDelayMs How long the provider takes for each answer, beside its work. */
async function measureRefresh(folder: string, answerDelayMs: number): Promise<void> {
  await using provider = await ProviderProcess.start({ answerDelayMs });
  const { issuer, clientId } = provider;
  const refresher = async (name: string, program: string): Promise<TimedCommand> => {
    const home = `${folder}/${program}`;
    const path = pathIn(home);
    await provider.signIn(new FileCredentialsBackend({ path }));
    const command = denoProgram(program, issuer, clientId, path);
    return { name, command, env: { HOME: home }, before: () => expire(path) };
  };
  await measure(`Refresh in a cold process, with answers of ${answerDelayMs} ms`, [
    await refresher("read, refresh by oauth4webapi, write with fsync", "raw_refresh.ts"),
    await refresher(OURS, "cached_start.ts"),
  ]);
}

/** About 3 KB, as with a JWT access token of a large organisation. */
function storedEntry(clientId: string): OidcCredentials {
  return entry({
    issuer: ISSUER,
    client_id: clientId,
    access_token: "a".repeat(1400),
    id_token: `e30.${"i".repeat(1000)}.s`,
    expires_at: "2099-01-01T00:00:00.000Z",
  });
}

/** Costs of a start from a file with so many entries. */
async function measureEntries(folder: string): Promise<void> {
  console.log("A start from a stored token: medians of CPU in ms and of peak memory in MB");
  for (const count of [1, 100, 1_000, 10_000]) {
    const home = `${folder}/${count}`;
    const backend = new FileCredentialsBackend({ path: pathIn(home) });
    await backend.put(credentialKey(ISSUER, CLIENT_ID), storedEntry(CLIENT_ID));
    const document = JSON.parse(await Deno.readTextFile(pathIn(home)));
    for (let other = 1; other < count; other++) {
      const clientId = `${CLIENT_ID}-${other}`;
      document.credentials[credentialKey(ISSUER, clientId)] = storedEntry(clientId);
    }
    await Deno.writeTextFile(pathIn(home), JSON.stringify(document, null, 2));
    const [program, ...args] = denoProgram("cost_of_start.ts", ISSUER, CLIENT_ID);
    const costs: { cpuMs: number; peakMb: number }[] = [];
    for (let round = 0; round <= rounds; round++) {
      const child = new Deno.Command(program, { args, env: { HOME: home }, stderr: "inherit" });
      const cost = JSON.parse(new TextDecoder().decode((await child.output()).stdout));
      if (round > 0) costs.push(cost); // the first fills the caches
    }
    const [cpuMs, peakMb] = (["cpuMs", "peakMb"] as const).map((name) =>
      median(costs.map((cost) => cost[name])).toFixed(0)
    );
    const { size } = await Deno.stat(pathIn(home));
    console.log(`  ${count} entries, ${(size / 1e6).toFixed(1)} MB: ${cpuMs} ms, ${peakMb} MB`);
  }
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

const pathIn = (home: string) => `${home}/.validmind/credentials.json`;

/** Sets the end of the stored token back. */
async function expire(path: string): Promise<void> {
  const backend = new FileCredentialsBackend({ path });
  const [key = ""] = await Array.fromAsync(backend.list());
  await backend.put(key, { ...backend.get(key)!, expires_at: "2020-01-01T00:00:00Z" });
}

/**
 * Times programs by turns, so that whatever else the machine does meets all of them alike. One round
 * goes first, unmeasured, to fill the caches.
 */
async function measure(title: string, commands: readonly TimedCommand[]): Promise<void> {
  const times = commands.map(() => [] as number[]);
  for (let round = 0; round <= rounds; round++) {
    for (const [place, command] of commands.entries()) {
      const ms = await timeOnce(command);
      if (round > 0) times[place]!.push(ms);
    }
  }
  console.log(`${title}: median and quartiles in ms, ratio to the first`);
  // One slow start in a noisy machine moves none of them.
  const quartiles = times.map((some) => {
    const sorted = some.toSorted((a, b) => a - b);
    return [0.5, 0.25, 0.75].map((q) => sorted[Math.round((sorted.length - 1) * q)]!);
  });
  for (const [place, { name }] of commands.entries()) {
    const [median, lower, upper] = quartiles[place]!.map((ms) => ms.toFixed(0));
    const ratio = quartiles[place]![0]! / quartiles[0]![0]!;
    const verdict = name === OURS ? `, ${ratio <= BAR ? "within" : "OVER"} ${BAR}` : "";
    console.log(`  ${name}: ${median} (${lower}–${upper}), ${ratio.toFixed(2)} ×${verdict}`);
  }
}

async function timeOnce({ name, command, env, before }: TimedCommand): Promise<number> {
  await before?.();
  const [program, ...args] = command;
  const child = new Deno.Command(program, { args, env, stdout: "null", stderr: "piped" });
  const begin = performance.now();
  const { success, stderr } = await child.output();
  const ms = performance.now() - begin;
  if (success) return ms;
  throw new Error(`Cannot time ${name}: it failed.\n${new TextDecoder().decode(stderr)}`);
}

const { values, positionals } = parseArgs({
  options: { rounds: { type: "string", default: "30" } },
  args: import.meta.main ? Deno.args : [],
  allowPositionals: true,
});
const rounds = Number(values.rounds);

if (import.meta.main) {
  const names = positionals.length > 0 ? positionals : ["cold", "refresh"];
  const unknown = names.find((name) => !Object.hasOwn(SECTIONS, name));
  if (unknown !== undefined || !(rounds > 0)) {
    console.error("Cannot run: deno task bench [cold] [refresh] [entries] [--rounds=30]");
    Deno.exit(2);
  }
  for (const name of names) {
    await using folder = await tempDir("bench-");
    await SECTIONS[name]!(folder.path);
  }
}
