import { runProcess } from "../support/deno_process.ts";
import type { TimedCommand } from "./measure_commands.ts";
import { summarize, type Summary } from "./summary.ts";

/**
 * Counts the instructions that programs execute in user space, by turns. Linux with `perf`, which the
 * kernel has to permit.
 *
 * @returns Millions of instructions, by name; `undefined` where they cannot be counted.
 */
export async function countInstructions(
  commands: readonly TimedCommand[],
  rounds: number,
): Promise<Map<string, Summary> | undefined> {
  const counts = new Map(commands.map(({ name }) => [name, [] as number[]]));
  for (let round = -1; round < rounds; round++) {
    for (const { name, command, env = {}, before } of commands) {
      await before?.();
      const count = await countOnce(command, env);
      if (count === undefined) return undefined;
      if (round >= 0) counts.get(name)!.push(count / 1e6);
    }
  }
  return new Map([...counts].map(([name, values]) => [name, summarize(values)]));
}

async function countOnce(
  command: readonly string[],
  env: Record<string, string>,
): Promise<number | undefined> {
  const perf = ["perf", "stat", "--field-separator=;", "--event=instructions:u", "--", ...command];
  try {
    const { code, stderr } = await runProcess(perf, { env });
    const [, count] = /^(\d+);[^;]*;instructions:u;/m.exec(stderr) ?? [];
    return code === 0 && count !== undefined ? Number(count) : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
