// Writes the generated parts of the pages anew: `deno task readme`.
import { GENERATED_PARTS } from "./generated_parts.ts";
import { replacePart } from "./generated_part.ts";

const ROOT = new URL("../../", import.meta.url);
for (const [page, parts] of Object.entries(GENERATED_PARTS)) {
  const path = new URL(page, ROOT);
  let text = await Deno.readTextFile(path);
  for (const make of parts) text = replacePart(text, await make());
  await Deno.writeTextFile(path, text);
}
