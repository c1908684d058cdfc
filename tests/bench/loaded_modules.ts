import { denoProgram } from "./bench_world.ts";

/** What a program loads of this module, from its imports and from what it imports as it runs. */
export interface LoadedModules {
  /** This module's own files, by path from the repository. */
  own: string[];
  /** The bytes of their sources, comments included. */
  ownBytes: number;
  /** Modules of others. */
  foreign: string[];
}

const ROOT = new URL("../../", import.meta.url).href;

/** Runs one of the programs, and tells which modules Deno loaded for it. */
export async function loadedModules(
  program: string,
  args: readonly string[],
  env: Record<string, string>,
): Promise<LoadedModules> {
  const [deno, run, ...rest] = denoProgram(program, ...args);
  const command = new Deno.Command(deno, {
    args: [run!, "--log-level=debug", ...rest.filter((flag) => flag !== "--quiet")],
    env: { ...env, NO_COLOR: "1" },
  });
  const { success, stderr } = await command.output();
  const text = new TextDecoder().decode(stderr);
  if (!success) throw new Error(`Cannot run ${program}: ${text.slice(-500)}`);
  const fetched = text.matchAll(/fetch_no_follow - specifier: (\S+)/g);
  const urls = new Set([...fetched].map(([, url]) => url!));
  const isOwn = (url: string) => /^(mod\.ts$|backends\/|client\/)/.test(url.replace(ROOT, ""));
  const own = [...urls].filter(isOwn);
  const sizes = await Promise.all(own.map(async (url) => (await Deno.stat(new URL(url))).size));
  return {
    own: own.map((url) => url.replace(ROOT, "")).sort(),
    ownBytes: sizes.reduce((sum, size) => sum + size, 0),
    foreign: [...urls].filter((url) => !url.startsWith(ROOT)),
  };
}
