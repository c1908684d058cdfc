import { type BenchOptions, type BenchSection, toRows } from "../bench_section.ts";
import { benchEntry, benchHome, CLIENT_ID, denoProgram, ISSUER, KEY } from "../bench_world.ts";
import { measureCommands, type TimedCommand } from "../measure_commands.ts";
import { type Peers, writePeerCaches } from "../peers.ts";
import { DENO } from "../../../support/deno_process.ts";

/** Whole processes, from their start to their end, that put a stored token into a header. */
export async function coldStart(options: BenchOptions, peers: Peers): Promise<BenchSection> {
  const { folder, effort } = options;
  const commands = [
    ...await ownCommands(folder),
    ...await peerCommands(folder, peers),
  ];
  const measured = await measureCommands(commands, Math.ceil(40 * effort));
  const base = "read and parse the same file";
  return {
    title: "Cold start to a bearer header from a valid stored token",
    unit: "ms",
    base,
    rows: toRows(measured, base, { "this module, file": 1.25 }),
  };
}

async function ownCommands(folder: string): Promise<TimedCommand[]> {
  const env = { HOME: await benchHome(folder) };
  return [
    { name: "an empty program", command: denoProgram("empty.ts"), env },
    { name: "read and parse the same file", command: denoProgram("read_parse.ts", KEY), env },
    {
      name: "this module, file",
      command: denoProgram("cached_start.ts", ISSUER, CLIENT_ID),
      env,
    },
  ];
}

async function peerCommands(folder: string, peers: Peers): Promise<TimedCommand[]> {
  const { msal, google } = await writePeerCaches(folder, benchEntry().access_token);
  const commands: TimedCommand[] = [];
  const programs: [string, string, string[]][] = [
    ["msal-node", "msal_start.mjs", msal],
    ["google-auth-library", "google_start.mjs", google],
  ];
  for (const [name, program, args] of peers.node === undefined ? [] : programs) {
    const path = `${peers.folder}/${program}`;
    commands.push(
      { name: `${name} on Deno`, command: [DENO, "run", "-A", path, ...args] },
      { name: `${name} on Node`, command: [peers.node!, path, ...args] },
    );
  }
  if (peers.python !== undefined) {
    const program = `${import.meta.dirname}/../programs/msal_start.py`;
    commands.push({ name: "msal for Python", command: [peers.python, program, ...msal] });
  }
  return commands;
}
