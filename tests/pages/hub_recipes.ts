import { type Generated, generated } from "./generated_part.ts";

const TESTS = new URL("../", import.meta.url);
const END = "<!-- end of recipe -->";

/** A part of a page that shows a file by which the hub of the tests runs, as it stands. */
export function hubRecipe(file: string): () => Promise<Generated> {
  return recipe(`live/hub/recipes/${file}`);
}

/** A part of a page that shows a file of the tests as it stands. */
export function recipe(file: string): () => Promise<Generated> {
  return async () => {
    const source = await Deno.readTextFile(new URL(file, TESTS));
    const text = source.replace('"@validmind/auth"', '"jsr:@validmind/auth"');
    const begin = `<!-- tests/${file}: put here by \`deno task readme\` -->`;
    const language = file.split(".").at(-1)!.replace(/^py$/, "python");
    const title = language === "ts" ? `// ${file.split("/").at(-1)}\n` : "";
    return generated(begin, `\`\`\`${language}\n${title}${text.trimEnd()}\n\`\`\``, END);
  };
}
