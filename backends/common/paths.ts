/**
 * Paths as this system writes them. `@std/path` is imported here alone: its OS-neutral entry points touch
 * `process`, which takes Deno longer than a whole start, and its two halves do not.
 */
import { basename as basenameOnPosix } from "@std/path/posix/basename";
import { dirname as dirnameOnPosix } from "@std/path/posix/dirname";
import { fromFileUrl as fromFileUrlOnPosix } from "@std/path/posix/from-file-url";
import { isAbsolute as isAbsoluteOnPosix } from "@std/path/posix/is-absolute";
import { join as joinOnPosix } from "@std/path/posix/join";
import { resolve as resolveOnPosix } from "@std/path/posix/resolve";
import { toFileUrl as toFileUrlOnPosix } from "@std/path/posix/to-file-url";
import { basename as basenameOnWindows } from "@std/path/windows/basename";
import { dirname as dirnameOnWindows } from "@std/path/windows/dirname";
import { fromFileUrl as fromFileUrlOnWindows } from "@std/path/windows/from-file-url";
import { isAbsolute as isAbsoluteOnWindows } from "@std/path/windows/is-absolute";
import { join as joinOnWindows } from "@std/path/windows/join";
import { resolve as resolveOnWindows } from "@std/path/windows/resolve";
import { toFileUrl as toFileUrlOnWindows } from "@std/path/windows/to-file-url";
import { isWindows } from "./runtime.ts";

export const basename = isWindows ? basenameOnWindows : basenameOnPosix;
export const dirname = isWindows ? dirnameOnWindows : dirnameOnPosix;
export const fromFileUrl = isWindows ? fromFileUrlOnWindows : fromFileUrlOnPosix;
export const isAbsolute = isWindows ? isAbsoluteOnWindows : isAbsoluteOnPosix;
export const join = isWindows ? joinOnWindows : joinOnPosix;
export const resolve = isWindows ? resolveOnWindows : resolveOnPosix;
export const toFileUrl = isWindows ? toFileUrlOnWindows : toFileUrlOnPosix;

/** The path of a `file:` URL; `undefined` for any other one. */
export function pathOfUrl(url: URL): string | undefined {
  return url.protocol === "file:" ? fromFileUrl(url) : undefined;
}

/** Whether a module is named by its path. */
export function isPathSpecifier(specifier: string): boolean {
  return /^\.{1,2}[/\\]/.test(specifier) || isAbsolute(specifier);
}
