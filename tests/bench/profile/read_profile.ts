/** A profile of V8, as `deno run --cpu-prof` writes it. Times are in microseconds. */
interface CpuProfile {
  nodes: {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
  }[];
  startTime: number;
  endTime: number;
  /** The node that was running at each sample. */
  samples: number[];
  /** The time before each sample. */
  timeDeltas: number[];
}

/** The places that time goes to, in the order of a report. */
export const PLACES = {
  begin: "before the first sample: Deno begins",
  waiting: "waiting: Deno reads modules and files, a provider answers",
  native: "Deno's native code, and V8's compiler",
  garbage: "V8's garbage collector",
  runtime: "Deno's own JavaScript",
  others: "modules of others",
  script: "the script itself",
  modules: "this module: each file as it is loaded",
  functions: "this module: its functions",
  paused: "gaps between samples: the machine did other work",
} as const;

export type Place = keyof typeof PLACES;

/** The places after the beginning that are Deno's, whoever has called it. */
export const DENOS: readonly Place[] = ["waiting", "native", "garbage", "runtime"];

/** Samples are 0.1 ms apart. After a longer gap the process had no processor. */
const LONGEST_GAP_MS = 1;

/** Where the time of one process went, in milliseconds. */
export interface ProfileTimes {
  /** From the start of the profile to its end. */
  readonly total: number;
  readonly places: Readonly<Record<Place, number>>;
  /** The time within each function of this module, without that of the functions it calls. */
  readonly functions: ReadonlyMap<string, number>;
}

/**
 * Reads a profile.
 *
 * @param text The file that Deno has written.
 * @param root The address of this repository, with a slash at its end.
 */
export function readProfile(text: string, root: string): ProfileTimes {
  const { nodes, startTime, endTime, samples, timeDeltas }: CpuProfile = JSON.parse(text);
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const places = Object.fromEntries(Object.keys(PLACES).map((place) => [place, 0])) as Record<
    Place,
    number
  >;
  places.begin = (timeDeltas[0] ?? 0) / 1000;
  const functions = new Map<string, number>();
  samples.forEach((id, at) => {
    // A sample stands for the time up to the next one.
    const gap = (timeDeltas[at + 1] ?? 0) / 1000;
    const ms = Math.min(gap, LONGEST_GAP_MS);
    places.paused += gap - ms;
    const frame = frames.get(id)!;
    const place = placeOf(frame, root);
    places[place] += ms;
    if (place !== "functions") return;
    const name = `${frame.functionName || "(anonymous)"} in ${frame.url.slice(root.length)}`;
    functions.set(name, (functions.get(name) ?? 0) + ms);
  });
  return { total: (endTime - startTime) / 1000, places, functions };
}

function placeOf(
  { functionName, url, lineNumber }: CpuProfile["nodes"][number]["callFrame"],
  root: string,
): Place {
  if (functionName === "(idle)") return "waiting";
  if (functionName === "(garbage collector)") return "garbage";
  if (url.startsWith("ext:") || url.startsWith("node:")) return "runtime";
  if (url === "") return "native";
  const path = url.startsWith(root) ? url.slice(root.length) : undefined;
  if (path === undefined || path.startsWith("vendor/")) return "others";
  if (!/^(mod\.ts$|backends\/|client\/)/.test(path)) return "script";
  return functionName === "" && lineNumber === 0 ? "modules" : "functions";
}
