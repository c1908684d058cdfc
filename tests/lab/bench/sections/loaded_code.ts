import type { BenchSection } from "../bench_section.ts";
import { loadedModules } from "../loaded_modules.ts";

/** How much of this module a cached start runs, and how much Deno reads for it. */
export async function loadedCode(): Promise<BenchSection> {
  const { run, read } = await loadedModules("cached_start.ts");
  return {
    title: "Loaded in a cached start",
    unit: "",
    base: "",
    rows: [
      { name: "own modules that run", value: run.own.length },
      { name: "their source, KB", value: run.ownBytes / 1000, bar: 60 },
      { name: "of that, without comments, KB", value: run.ownCodeBytes / 1000 },
      { name: "modules of others that run", value: run.foreign.length, bar: 0 },
      { name: "own modules that Deno reads for its graph", value: read.own.length },
      { name: "their source, KB", value: read.ownBytes / 1000 },
      { name: "modules of others that Deno reads for its graph", value: read.foreign.length },
    ],
  };
}
