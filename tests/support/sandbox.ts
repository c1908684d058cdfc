import { mustRun } from "./deno_process.ts";

/** A folder for the tests of one file, each of which gets a folder of its own in it. */
export type Sandbox = ReturnType<typeof sandbox>;

/**
 * Makes the folder; it is removed after the file's last test.
 *
 * It has to be there before the first test, because `Deno.test` wants its permissions by name.
 */
export function sandbox() {
  const root = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "validmind-auth-" }));
  Deno.test.afterAll(() => removeAll(root));
  return {
    root,
    /** For `Deno.test`: reading and writing below the folder, and nothing else. */
    permissions: { read: [root], write: [root] },
    /** Makes an empty folder. */
    folder: () => Deno.makeTempDirSync({ dir: root }),
  };
}

/** Windows keeps a database open that the process has closed: what cannot be removed stays there. */
function removeAll(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch (error) {
    if (isPosix) throw error;
  }
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
