import { denoInfo } from "../../support/deno_process.ts";

/** Modules by where they are from. */
export interface ModuleSet {
  /** This module's own files, by path from the repository. */
  own: string[];
  /** The bytes of their sources, comments included. */
  ownBytes: number;
  /** The same without the lines that are comments. */
  ownCodeBytes: number;
  /** Modules of others. */
  foreign: string[];
}

/** What Deno loads for a program. */
export interface LoadedModules {
  /** What runs: the program's imports, and theirs. */
  run: ModuleSet;
  /**
   * What Deno reads before it runs anything: also what an `import()` with a literal in it may load
   * later, and all that that imports.
   */
  read: ModuleSet;
}

interface GraphModule {
  specifier: string;
  size?: number;
  dependencies?: { isDynamic?: boolean; code?: { specifier: string } }[];
}

const ROOT = new URL("../../../", import.meta.url).href;

/**
 * The modules of one of the programs, as Deno itself tells them.
 *
 * @param later Own modules that an `import()` loads, which count as run.
 */
export async function loadedModules(
  program: string,
  later: readonly string[] = [],
): Promise<LoadedModules> {
  const { roots, redirects, modules } = await denoInfo<{
    roots: [string];
    redirects: Record<string, string>;
    modules: GraphModule[];
  }>([new URL(`programs/${program}`, import.meta.url).href]);
  const byName = new Map(modules.map((module) => [module.specifier, module]));
  const reach = (isFollowed: (isDynamic: boolean) => boolean) => {
    const found = new Set<GraphModule>();
    const waiting = [...roots, ...later.map((path) => ROOT + path)];
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      const module = byName.get(redirects[name] ?? name);
      if (module === undefined || found.has(module)) continue;
      found.add(module);
      for (const { isDynamic = false, code } of module.dependencies ?? []) {
        if (code !== undefined && isFollowed(isDynamic)) waiting.push(code.specifier);
      }
    }
    return toSet([...found]);
  };
  return { run: reach((isDynamic) => !isDynamic), read: reach(() => true) };
}

function toSet(modules: readonly GraphModule[]): ModuleSet {
  const isOwn = ({ specifier }: GraphModule) =>
    /^(mod\.ts$|backends\/|client\/)/.test(specifier.replace(ROOT, ""));
  const own = modules.filter(isOwn);
  return {
    own: own.map(({ specifier }) => specifier.replace(ROOT, "")).sort(),
    ownBytes: own.reduce((sum, { size = 0 }) => sum + size, 0),
    ownCodeBytes: own.reduce((sum, { specifier }) => sum + codeSize(new URL(specifier)), 0),
    foreign: modules.map(({ specifier }) => specifier).filter((name) => !name.startsWith(ROOT)),
  };
}

function codeSize(file: URL): number {
  const lines = Deno.readTextFileSync(file).split("\n");
  const code = lines.filter((line) => !/^\s*(\/\*\*|\*|\/\/)/.test(line));
  return new TextEncoder().encode(code.join("\n")).length;
}
