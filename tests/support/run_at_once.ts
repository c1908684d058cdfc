import { type ProcessResult, startDeno, type StartDenoOptions } from "./deno_process.ts";

/**
 * Runs code in so many processes at once: each waits until all are up. So they do meet, and this
 * process, which may serve them, does not start programs then: that holds it up under Wine.
 */
export async function runAtOnce(
  count: number,
  options: StartDenoOptions & { code: string },
): Promise<ProcessResult[]> {
  const code = `console.log("up"); await Deno.stdin.read(new Uint8Array(1));\n${options.code}`;
  await using all = new AsyncDisposableStack();
  const children = Array.from({ length: count }, () => all.use(startDeno({ ...options, code })));
  for (const child of children) await child.line();
  return await Promise.all(children.map((child) => child.end()));
}
