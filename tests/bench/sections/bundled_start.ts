import { fromFileUrl } from "@std/path";
import { bundle } from "../../behaviour/bundles/bundle_world.ts";
import { ALL, denoCommand } from "../../support/deno_process.ts";
import { type BenchOptions, type BenchSection, toRows } from "../bench_section.ts";
import { benchHome, CLIENT_ID, denoProgram, ISSUER, KEY } from "../bench_world.ts";
import { countInstructions } from "../count_instructions.ts";
import { measureCommands, type TimedCommand } from "../measure_commands.ts";

const BASE = "an empty program";

/** A start from a stored token: as modules, and bundled by the user. */
export async function bundledStart({ folder, effort }: BenchOptions): Promise<BenchSection> {
  const measured = await measureCommands(await starts(folder), Math.ceil(40 * effort));
  const rows = toRows(measured, BASE);
  return { title: "A bundled start from a stored token", unit: "ms", base: BASE, rows };
}

/** The same in instructions, which other work on the machine hardly changes. No rows without perf. */
export async function bundledInstructions(
  { folder, effort }: BenchOptions,
): Promise<BenchSection> {
  const counted = await countInstructions(await starts(folder), Math.ceil(10 * effort));
  return {
    title: "A bundled start from a stored token",
    unit: "million instructions in user space",
    base: BASE,
    rows: counted === undefined ? [] : toRows(counted, BASE),
  };
}

async function starts(folder: string): Promise<TimedCommand[]> {
  const env = { HOME: await benchHome(folder) };
  const script = fromFileUrl(new URL("../programs/cached_start.ts", import.meta.url));
  const bundled = async (name: string, form: Parameters<typeof bundle>[2]) => {
    const file = await bundle(script, `${folder}/${form}`, form);
    return {
      name,
      command: denoCommand({ file, flags: ALL, config: false, args: [ISSUER, CLIENT_ID] }),
      env,
    };
  };
  return [
    { name: BASE, command: denoProgram("empty.ts"), env },
    { name: "read and parse the same file", command: denoProgram("read_parse.ts", KEY), env },
    {
      name: "this module, as modules",
      command: denoProgram("cached_start.ts", ISSUER, CLIENT_ID),
      env,
    },
    await bundled("this module, bundled", "one file"),
    await bundled("this module, bundled with --minify", "minified"),
    await bundled("this module, bundled with --minify --code-splitting", "split"),
  ];
}
