import { isObject, parseObject } from "../../../backends/common/printable.ts";
import { readEnvIfGranted } from "../../../backends/common/platform.ts";
import { dataFolder, PREFIX_VARIABLES } from "./kernel_spec.ts";

/** A Deno kernel that Jupyter offers here. */
export interface FoundKernel {
  readonly path: string;
  readonly displayName: string;
  /** Whether `jupyter install` has written it. */
  readonly isOwn: boolean;
  readonly isNarrow: boolean;
  /** Its program or a file that it is started with, where that is not there. */
  readonly missing: string | undefined;
  /** The names of the variables that it sets. */
  readonly variables: readonly string[];
}

/**
 * The Deno kernels in the folders in which Jupyter looks.
 *
 * @param prefix The Python environment of the server, where it is known.
 */
export function findKernels(
  prefix?: string,
): { kernels: FoundKernel[]; isComplete: boolean } {
  const prefixes = [prefix, ...PREFIX_VARIABLES.map(readEnvIfGranted), "/usr/local", "/usr"];
  const folders = [
    ...(readEnvIfGranted("JUPYTER_PATH") ?? "").split(":").filter((one) => one !== ""),
    dataFolder(),
    ...prefixes.map((one) => one && `${one}/share/jupyter`),
  ].filter((one) => one !== undefined);
  let isComplete = true;
  const kernels = [...new Set(folders)].flatMap((folder) => {
    try {
      return [...Deno.readDirSync(`${folder}/kernels`)].map(({ name }) =>
        kernelAt(`${folder}/kernels/${name}/kernel.json`)
      );
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) isComplete = false;
      return [];
    }
  });
  return { kernels: kernels.filter((one) => one !== undefined), isComplete };
}

function kernelAt(path: string): FoundKernel | undefined {
  let spec: Record<string, unknown> | undefined;
  try {
    spec = parseObject(Deno.readTextFileSync(path));
  } catch {
    return undefined; // no kernel, or none that can be read
  }
  const { argv, display_name: displayName, env, metadata } = spec ?? {};
  const words = Array.isArray(argv) ? argv.map(String) : [];
  const at = words.indexOf("jupyter");
  if (at < 1 || !/^(--kernel|kernel)$/.test(words[at + 1] ?? "")) return undefined;
  const own = isObject(metadata) ? metadata["validmind-auth"] : undefined;
  return {
    path,
    displayName: String(displayName ?? ""),
    isOwn: own !== undefined,
    isNarrow: isObject(own) && own.narrow === true,
    missing: words.find((word) => word.startsWith("/") && !isThere(word)),
    variables: isObject(env) ? Object.keys(env) : [],
  };
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}
