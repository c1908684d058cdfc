import { mustRun } from "./deno_process.ts";
import { leaveRemnant } from "./temp_home.ts";

/** A folder for the tests of one file, each of which gets a folder of its own in it. */
export type Sandbox = ReturnType<typeof sandbox>;

/**
 * Makes the folder; it is removed after the file's last test.
 *
 * It has to be there before the first test, because `Deno.test` wants its permissions by name.
 */
export function sandbox() {
  const root = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "validmind-auth-" }));
  Deno.test.afterAll(() => Deno.remove(root, { recursive: true }).catch(leaveRemnant));
  return {
    root,
    /** For `Deno.test`: reading and writing below the folder, and nothing else. */
    permissions: { read: [root], write: [root] },
    /** Makes an empty folder. */
    folder: () => Deno.makeTempDirSync({ dir: root }),
  };
}

/** The permission bits of a file or a folder. */
export function modeOf(path: string): number {
  return (Deno.statSync(path).mode ?? 0) & 0o777;
}

/** The names in a folder, sorted. */
export function namesIn(path: string): string[] {
  return Array.from(Deno.readDirSync(path), ({ name }) => name).sort();
}

/** Makes a named pipe. */
export async function makePipe(path: string): Promise<void> {
  await mustRun(["mkfifo", path]);
}

/** Whether modes and links work as POSIX says. */
export const isPosix: boolean = Deno.build.os !== "windows";
