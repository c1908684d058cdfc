import process from "node:process";

/**
 * How long this process was busy with `run`, in milliseconds. What other processes do meanwhile adds to
 * the time on the clock, and what other tests of this process do adds to that of the processor: the
 * smaller one counts.
 */
export async function busyTime(run: () => unknown): Promise<number> {
  const [begin, used] = [performance.now(), process.cpuUsage()];
  await run();
  const { user, system } = process.cpuUsage(used);
  return Math.min(performance.now() - begin, (user + system) / 1000);
}
