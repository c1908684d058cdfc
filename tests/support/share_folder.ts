import { join } from "@std/path";

/** Shows a folder at a second place: by a link, or by one for each file where there are no junctions. */
export async function shareFolder(from: string, to: string): Promise<void> {
  try {
    await Deno.symlink(from, to, { type: "junction" });
  } catch (error) {
    if ((error as { code?: string }).code !== "ENOTSUP") throw error; // as under Wine
    await linkFiles(from, to);
  }
}

async function linkFiles(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true }); // a failed junction leaves its folder
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    await (isDirectory ? linkFiles : Deno.link)(join(from, name), join(to, name));
  }
}
