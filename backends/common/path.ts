/**
 * `@std/path` for the operating system that runs this.
 *
 * Its OS-neutral entry points touch `globalThis.process`, which costs as much as the rest of a start.
 * A start from a stored token reads no path by these functions: see `folderOf`.
 */
import * as posix from "@std/path/posix/dirname";
import * as windows from "@std/path/windows/dirname";

const isWindows = Deno.build.os === "windows";

/** The folder of a path. */
export const dirname: (path: string) => string = isWindows ? windows.dirname : posix.dirname;
