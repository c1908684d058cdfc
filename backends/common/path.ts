/**
 * `@std/path` for the operating system that runs this.
 *
 * Its OS-neutral entry points touch `globalThis.process`, which costs as much as the rest of a start.
 * A start from a stored token reads no path by these functions: see `folderOf`.
 */
import { basename as posixBasename } from "@std/path/posix/basename";
import { dirname as posixDirname } from "@std/path/posix/dirname";
import { basename as windowsBasename } from "@std/path/windows/basename";
import { dirname as windowsDirname } from "@std/path/windows/dirname";

const isWindows = Deno.build.os === "windows";

export const dirname: (path: string) => string = isWindows ? windowsDirname : posixDirname;

export const basename: (path: string) => string = isWindows ? windowsBasename : posixBasename;
