import { copy } from "@std/fs/copy";
import { fromFileUrl, join } from "@std/path";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
/** What Git keeps, and what tools write. */
const LEFT_OUT = [".git", "node_modules", "coverage", "dist"];

/** Makes a folder equal to the repository, with its `vendor/`, but for what is left out at its top. */
export async function copyRepository(to: string, ...leftOut: string[]): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  await Deno.remove(to, { recursive: true });
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(ROOT)) {
    const isWanted = ![...LEFT_OUT, ...leftOut].includes(name);
    if (isWanted) await copy(join(ROOT, name), join(to, name));
  }
}
