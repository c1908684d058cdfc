// deno-lint-ignore-file no-console
/**
 * Tells the line coverage of the published code after `deno task test:servers --coverage`, and fails where
 * it is too low: `deno task coverage`.
 */
import { fromFileUrl } from "@std/path/from-file-url";
import { mustRun } from "./deno_process.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
const LEAST_PERCENT = 90;

/** A child that a test killed leaves a report that ends in the middle, or before its beginning. */
async function removeTruncated(folder: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    try {
      JSON.parse(await Deno.readTextFile(path));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      await Deno.remove(path);
    }
  }
}

await removeTruncated(`${ROOT}coverage/data`);
for (const folder of ["backends", "client"]) {
  const args = ["coverage", "coverage/data", "--lcov", `--include=^file://${ROOT}${folder}/`];
  const lcov = await mustRun([Deno.execPath(), ...args], { cwd: ROOT, timeoutMs: 600_000 });
  const lines = lcov.matchAll(/^DA:\d+,(\d+)/gm).map(([, hits]) => Number(hits)).toArray();
  const hit = lines.filter((hits) => hits > 0).length;
  const percent = 100 * hit / Math.max(1, lines.length);
  console.log(`${percent.toFixed(1).padStart(5)} %  ${hit}/${lines.length}  ${folder}/`);
  if (percent >= LEAST_PERCENT) continue;
  console.error(`Line coverage of ${folder}/ is below ${LEAST_PERCENT} %.`);
  Deno.exitCode = 1;
}
