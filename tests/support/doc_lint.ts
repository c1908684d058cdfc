// deno-lint-ignore-file no-console
/** Lints the documentation of every entry of `exports` in deno.json: `deno task doc:lint`. */

import { spawnDenoTool } from "./deno_process.ts";

const ROOT = new URL("../../", import.meta.url);

interface Config {
  exports: string | Record<string, string>;
}

if (import.meta.main) {
  const { exports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT))) as Config;
  const entries = typeof exports === "string" ? [exports] : Object.values(exports);
  const args = ["doc", "--lint", ...entries];
  const { code } = await spawnDenoTool(args, { cwd: ROOT, stdout: "null" }).status;
  if (code === 0) console.log(`Documentation of ${entries.length} entries: no findings.`);
  Deno.exitCode = code;
}
