/** The unit of the kernel's times in `/proc`, in milliseconds. */
const TICK_MS = 10;

/** The processes whose command line has one of these texts. Empty where there is no `/proc`. */
export function pidsOf(marks: readonly string[]): number[] {
  if (Deno.build.os !== "linux") return [];
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => {
    if (!Number.isInteger(pid)) return false;
    const command = readProc(pid, "cmdline").split("\0");
    // Not the shell that keeps a server, which has the server's command line in its own.
    return command[0] !== "sh" && marks.some((mark) => command.includes(mark));
  });
}

/** The processor time that processes have used, in milliseconds. Those that have ended have none. */
export function cpuMsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    // The name of the program, in parentheses, may hold spaces.
    const fields = readProc(pid, "stat").split(") ").at(-1)!.split(" ");
    return sum + TICK_MS * (Number(fields[11] ?? 0) + Number(fields[12] ?? 0));
  }, 0);
}

function readProc(pid: number, file: string): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/${file}`);
  } catch {
    return ""; // it has ended
  }
}
