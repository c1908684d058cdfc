import type { BenchOptions, BenchSection } from "../bench_section.ts";
import { benchHome, CLIENT_ID, ISSUER } from "../bench_world.ts";
import { loadedModules } from "../loaded_modules.ts";

/** How much of this module a cached start loads. */
export async function loadedCode({ folder }: BenchOptions): Promise<BenchSection> {
  const env = { HOME: await benchHome(folder) };
  const { own, ownBytes, foreign } = await loadedModules(
    "cached_start.ts",
    [ISSUER, CLIENT_ID],
    env,
  );
  return {
    title: "Loaded in a cached start",
    unit: "",
    base: "",
    rows: [
      { name: "own modules", value: own.length },
      { name: "own source, KB", value: ownBytes / 1000, bar: 60 },
      { name: "modules of others", value: foreign.length, bar: 0 },
    ],
  };
}
