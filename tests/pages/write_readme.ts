// Writes the generated parts of the pages anew: `deno task readme`.
import { GENERATED_PARTS } from "./generated_parts.ts";
import { replacePart } from "./generated_part.ts";

for (const [page, parts] of Object.entries(GENERATED_PARTS)) {
  const path = new URL(`../../${page}`, import.meta.url);
  let text = await Deno.readTextFile(path);
  for (const [name, make] of Object.entries(parts)) text = replacePart(text, name, await make());
  await Deno.writeTextFile(path, text);
}
