/** A program that is timed from its start to its end. */
export interface TimedCommand {
  name: string;
  /** The program and its arguments. */
  command: readonly [string, ...string[]];
  env?: Record<string, string>;
  /** Runs before each start, untimed. */
  before?: () => void | Promise<void>;
}

/**
 * Times programs by turns, so that whatever else the machine does meets all of them alike. One round
 * goes first, unmeasured, to fill the caches.
 *
 * @returns Milliseconds, by name.
 */
export async function measureCommands(
  commands: readonly TimedCommand[],
  rounds: number,
): Promise<Map<string, Summary>> {
  const times = new Map(commands.map(({ name }) => [name, [] as number[]]));
  for (let round = -1; round < rounds; round++) {
    for (const command of commands) {
      const ms = await timeOnce(command);
      if (round >= 0) times.get(command.name)!.push(ms);
    }
  }
  return new Map([...times].map(([name, values]) => [name, summarize(values)]));
}

async function timeOnce({ name, command, env = {}, before }: TimedCommand): Promise<number> {
  await before?.();
  const [program, ...args] = command;
  const child = new Deno.Command(program, { args, env, stdout: "null", stderr: "piped" });
  const begin = performance.now();
  const { success, stderr } = await child.output();
  const ms = performance.now() - begin;
  if (success) return ms;
  throw new Error(`Cannot time ${name}: it failed.\n${new TextDecoder().decode(stderr)}`);
}

/** What a set of timings comes to. */
export interface Summary {
  /** Middle value. */
  readonly median: number;
  /** Lower and upper quartile. */
  readonly quartiles: readonly [number, number];
}

/** Median and quartiles: one slow start in a noisy machine moves neither. */
function summarize(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (q: number) => sorted[Math.round((sorted.length - 1) * q)] ?? NaN;
  return { median: at(0.5), quartiles: [at(0.25), at(0.75)] };
}
