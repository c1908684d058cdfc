import { fromFileUrl } from "@std/path";
import { ALL, mustRun, runDeno, type RunDenoOptions } from "../../support/deno_process.ts";
import { DENO } from "../../support/deno_process.ts";

/** The flags of `deno bundle`, by the form of the bundle. */
export const FORMS = {
  "one file": [],
  "minified": ["--minify"],
  "minified, with names": ["--minify", "--keep-names"],
  "split": ["--minify", "--code-splitting"],
} as const;

export type Form = keyof typeof FORMS;

/** The script that is bundled. */
export const PROGRAM: string = fromFileUrl(new URL("program.ts", import.meta.url));

const CONFIG = fromFileUrl(new URL("../../../deno.json", import.meta.url));

/** Bundles a script into a folder, by the import map of this repository where no other is given. */
export async function bundle(
  script: string,
  folder: string,
  form: Form,
  { config = ["--config", CONFIG], env }: { config?: string[]; env?: Record<string, string> } = {},
): Promise<string> {
  const flags = [...config, ...FORMS[form], "--outdir", folder];
  // Deno fetches the bundler from npm at its first use, by the settings of this process.
  const options = { env, inheritEnv: true, timeoutMs: 120_000 };
  await mustRun([DENO, "bundle", "--quiet", ...flags, script], options);
  return `${folder}/${script.replace(/^.*[/\\]/, "").replace(/ts$/, "js")}`;
}

/** Runs a command of the program, bundled or not. Gives the JSON that it printed last. */
export async function runCommand(
  file: string,
  args: readonly string[],
  options: Pick<RunDenoOptions, "env" | "flags" | "config" | "cwd"> = {},
): Promise<unknown> {
  const { stdout, stderr } = await runDeno({ flags: ALL, ...options, file, args: [...args] });
  const line = stdout.trimEnd().split("\n").at(-1);
  if (!line) throw new Error(`The program printed nothing: ${stderr}`);
  return JSON.parse(line);
}
