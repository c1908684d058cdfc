// deno-lint-ignore-file no-console -- it is a program
/**
 * Measures this module and what people would use instead in one run, by turns:
 *
 * ```sh
 * deno task bench
 * ```
 *
 * @module
 */
import { parseArgs } from "node:util";
import { tempDir } from "../../support/temp_home.ts";
import { formatSection } from "./bench_section.ts";
import { installPeers } from "./peers.ts";
import { coldRefresh } from "./sections/cold_refresh.ts";
import { coldStart } from "./sections/cold_start.ts";

const SECTIONS = {
  cold: coldStart,
  refresh: coldRefresh,
};

const HELP = `Measures this module beside what people would use instead, in one run, by turns.

deno task bench [options]
  --only NAMES    of ${Object.keys(SECTIONS).join(", ")}; separated by commas
  --effort X      times the usual number of rounds   (default 1)
  --help`;

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    effort: { type: "string", default: "1" },
    help: { type: "boolean" },
  },
});
if (values.help) {
  console.log(HELP);
  Deno.exit(0);
}
const names = (values.only?.split(",") ?? Object.keys(SECTIONS)) as (keyof typeof SECTIONS)[];
const unknown = names.find((name) => !Object.hasOwn(SECTIONS, name));
const effort = Number(values.effort);
if (unknown !== undefined || !(effort > 0)) {
  console.error(`Cannot run: ${unknown ?? "--effort"} is not known, or no number. See --help.`);
  Deno.exit(2);
}

const peers = await installPeers();
for (const name of names) {
  await using folder = await tempDir("bench-");
  console.log(formatSection(await SECTIONS[name]({ folder: folder.path, effort }, peers)));
}
Deno.exit(0); // peers keep handles open
