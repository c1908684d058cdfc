import { FileCredentialsBackend } from "@validmind/auth";
import { ALL, denoCommand, mustRun } from "../../support/deno_process.ts";
import { ProviderProcess } from "../../support/provider_process.ts";
import type { BenchOptions } from "../bench_section.ts";
import { benchHome, CLIENT_ID, ISSUER } from "../bench_world.ts";
import { countInstructions } from "../count_instructions.ts";
import { expire } from "../sections/cold_refresh.ts";
import { summarize, type Summary } from "../summary.ts";
import { type Place, PLACES, type ProfileTimes, readProfile } from "./read_profile.ts";

/** One program, profiled many times. All times are in milliseconds. */
export interface ProfiledProgram {
  readonly name: string;
  /** The process from its start to its end, without a profiler. */
  readonly process: Summary;
  /** Millions of instructions in user space, without a profiler. Absent without `perf`. */
  readonly instructions?: Summary;
  readonly places: Readonly<Record<Place, Summary>>;
  /** The functions of this module that take the most time of their own, by their medians. */
  readonly functions: readonly (readonly [name: string, ms: number])[];
}

interface Program {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Record<string, string>;
  readonly before?: () => Promise<void>;
}

const ROOT = new URL("../../../", import.meta.url).href;

/** Profiles an empty program, a start from a stored token and a refresh, by turns. */
export async function profilePrograms(
  { folder, effort }: BenchOptions,
): Promise<ProfiledProgram[]> {
  await using provider = await ProviderProcess.start();
  const home = `${folder}/refresh`;
  const path = `${home}/.validmind/credentials.json`;
  await provider.signIn(new FileCredentialsBackend({ path }));
  const stored = { HOME: await benchHome(folder) };
  const programs: Program[] = [
    { name: "an empty program", file: "empty.ts", args: [], env: stored },
    { name: "a stored start", file: "cached_start.ts", args: [ISSUER, CLIENT_ID], env: stored },
    {
      name: "a refresh",
      file: "cached_start.ts",
      args: [provider.issuer, provider.clientId],
      env: { HOME: home },
      before: () => expire(path),
    },
  ];
  const runs = programs.map((program) => ({
    program,
    process: [] as number[],
    times: [] as ProfileTimes[],
  }));
  for (let round = -1; round < Math.ceil(30 * effort); round++) {
    for (const { program, process, times } of runs) {
      const ms = await timeOnce(program);
      const profile = await profileOnce(program, `${folder}/profile`);
      if (round < 0) continue; // fills the caches
      process.push(ms);
      times.push(profile);
    }
  }
  const commands = programs.map((program) => ({ ...program, command: commandOf(program) }));
  const instructions = await countInstructions(commands, Math.ceil(10 * effort));
  return runs.map(({ program: { name }, process, times }) => ({
    name,
    process: summarize(process),
    ...(instructions !== undefined && { instructions: instructions.get(name)! }),
    places: mapPlaces((place) => summarize(times.map(({ places }) => places[place]))),
    functions: slowest(times),
  }));
}

function mapPlaces<T>(of: (place: Place) => T): Record<Place, T> {
  const places = Object.keys(PLACES) as Place[];
  return Object.fromEntries(places.map((place) => [place, of(place)])) as Record<Place, T>;
}

function slowest(times: readonly ProfileTimes[]): [string, number][] {
  const names = new Set(times.flatMap(({ functions }) => [...functions.keys()]));
  const medians = [...names].map((name): [string, number] => [
    name,
    summarize(times.map(({ functions }) => functions.get(name) ?? 0)).median,
  ]);
  return medians.toSorted(([, a], [, b]) => b - a).slice(0, 8).filter(([, ms]) => ms > 0);
}

async function timeOnce(program: Program): Promise<number> {
  await program.before?.();
  const begin = performance.now();
  await mustRun(commandOf(program), { env: program.env });
  return performance.now() - begin;
}

async function profileOnce(program: Program, folder: string): Promise<ProfileTimes> {
  await program.before?.();
  await Deno.mkdir(folder);
  try {
    // In microseconds: by its default of 1000 most functions of a start are not seen at all.
    const flags = ["--cpu-prof", `--cpu-prof-dir=${folder}`, "--cpu-prof-interval=100"];
    await mustRun(commandOf(program, flags), { env: program.env });
    const [found] = Array.from(Deno.readDirSync(folder), ({ name }) => name);
    return readProfile(await Deno.readTextFile(`${folder}/${found}`), ROOT);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function commandOf({ file, args }: Program, flags: readonly string[] = []): [string, ...string[]] {
  const path = `${import.meta.dirname}/../programs/${file}`;
  return denoCommand({ file: path, flags: [...ALL, ...flags], args: [...args] });
}
