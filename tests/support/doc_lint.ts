// deno-lint-ignore-file no-console
/** Lints the documentation of every entry of `exports` in deno.json: `deno task doc:lint`. */

import { DENO, runProcess } from "./deno_process.ts";

const ROOT = new URL("../../", import.meta.url);

if (import.meta.main) {
  const { exports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const entries = Object.values<string>(exports);
  const doc = (flag: string) => runProcess([DENO, "doc", flag, ...entries], { cwd: ROOT });
  const { code, stderr } = await doc("--lint");
  console.error(stderr);
  // JSR does not show a tag that it does not understand, such as `@default 5` for `@default {5}`.
  const unknown = [
    ...(await doc("--json")).stdout.matchAll(/"kind": "unsupported",\s*"value": "(.*)"/g),
  ];
  for (const [, tag] of unknown) console.error(`A tag that is not understood: ${tag}`);
  const isClean = code === 0 && unknown.length === 0;
  if (isClean) console.log(`Documentation of ${entries.length} entries: no findings.`);
  Deno.exitCode = isClean ? 0 : 1;
}
