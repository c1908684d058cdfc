import { findDenoDir } from "../../support/deno_process.ts";

/** A runtime for compiled programs, where the machine has one. Without it Deno would ask its own host. */
export async function findDenort(): Promise<string | undefined> {
  const named = Deno.env.get("DENORT_BIN");
  const cached =
    `${findDenoDir()}/dl/release/v${Deno.version.deno}/denort-${Deno.build.target}.zip`;
  for (const path of [named, cached]) {
    if (path && await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
  }
  return undefined;
}

/** The variables of `deno compile` for a runtime that {@linkcode findDenort} has found. */
export function denortEnv(runtime: string | undefined): Record<string, string> {
  const isNamed = runtime !== undefined && !runtime.endsWith(".zip");
  return { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...(isNamed && { DENORT_BIN: runtime }) };
}
