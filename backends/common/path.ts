/**
 * Paths of the operating system that runs this. The OS-neutral entry points of `@std/path` touch
 * `globalThis.process`, which costs as much as the rest of a start.
 */
import { dirname as posixDirname } from "@std/path/posix/dirname";
import { dirname as windowsDirname } from "@std/path/windows/dirname";

const isWindows = Deno.build.os === "windows";

export const dirname: (path: string) => string = isWindows ? windowsDirname : posixDirname;

/** The last part of a path. */
export function basename(path: string): string {
  const parts = path.split(isWindows ? /^[A-Za-z]:|[/\\]/ : "/");
  return parts.findLast((part) => part !== "") ?? "";
}
