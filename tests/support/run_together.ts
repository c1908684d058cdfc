// deno-lint-ignore-file no-console -- its output is what the parent process reads
import {
  ALL,
  denoCommand,
  mustRun,
  type ProcessResult,
  runDeno,
  type RunDenoOptions,
} from "./deno_process.ts";

/** Options of {@linkcode runTogether}: a script's code, and how each of its processes is run. */
type TogetherOptions =
  & Pick<RunDenoOptions, "code" | "flags" | "args">
  & Required<Pick<RunDenoOptions, "timeoutMs">>;

/**
 * Runs a script in several processes that start at once. A process of its own starts them, so that
 * a server in the test's answers meanwhile: under Wine, a process with so many children may not.
 */
export async function runTogether(
  processes: number,
  options: TogetherOptions,
): Promise<ProcessResult[]> {
  const args = [JSON.stringify({ processes, options })];
  const command = denoCommand({ file: import.meta.url, flags: ALL, args });
  return JSON.parse(await mustRun(command, { timeoutMs: 2 * options.timeoutMs }));
}

if (import.meta.main) {
  const { processes, options } = JSON.parse(Deno.args[0]!);
  const runs = Array.from({ length: processes }, () => runDeno(options));
  console.log(JSON.stringify(await Promise.all(runs)));
}
