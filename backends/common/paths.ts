/**
 * Paths as this system writes them. `@std/path` is imported here and in
 * `load/import_backend.ts`: its OS-neutral entry points touch `process`, which takes Deno longer than a
 * whole start, and its two halves do not.
 */
import { basename as basenameOnPosix } from "@std/path/posix/basename";
import { dirname as dirnameOnPosix } from "@std/path/posix/dirname";
import { fromFileUrl as fromFileUrlOnPosix } from "@std/path/posix/from-file-url";
import { isAbsolute as isAbsoluteOnPosix } from "@std/path/posix/is-absolute";
import { join as joinOnPosix } from "@std/path/posix/join";
import { basename as basenameOnWindows } from "@std/path/windows/basename";
import { dirname as dirnameOnWindows } from "@std/path/windows/dirname";
import { fromFileUrl as fromFileUrlOnWindows } from "@std/path/windows/from-file-url";
import { isAbsolute as isAbsoluteOnWindows } from "@std/path/windows/is-absolute";
import { join as joinOnWindows } from "@std/path/windows/join";
import { isWindows } from "./runtime.ts";

/** The half of this system. */
export function ofSystem<T>(onPosix: T, onWindows: T): T {
  return isWindows ? onWindows : onPosix;
}

export const basename = ofSystem(basenameOnPosix, basenameOnWindows);
export const dirname = ofSystem(dirnameOnPosix, dirnameOnWindows);
const fromFileUrl = ofSystem(fromFileUrlOnPosix, fromFileUrlOnWindows);
export const isAbsolute = ofSystem(isAbsoluteOnPosix, isAbsoluteOnWindows);
export const join = ofSystem(joinOnPosix, joinOnWindows);

/** The path of a `file:` URL; `undefined` for any other one. */
export function pathOfUrl(url: URL): string | undefined {
  if (url.protocol !== "file:") return undefined;
  return fromFileUrl(url);
}

/** Whether a module is named by its path. */
export function isPathSpecifier(specifier: string): boolean {
  return /^\.{1,2}[/\\]/.test(specifier) || isAbsolute(specifier);
}

/** Whether a program is named by its path, and not looked for in `PATH`. */
export function isProgramPath(program: string): boolean {
  return /[/\\]/.test(program);
}

/**
 * The reason against a `PATH` with a folder that is not absolute, if there is one. A program would come
 * from whatever folder somebody works in, such as a cloned repository, or start another one from there.
 */
export function faultOfPath(path: string | undefined): string | undefined {
  const folders = (path ?? "").split(isWindows ? ";" : ":");
  const relative = folders.find((folder) => !isAbsolute(folder));
  if (relative === undefined) return undefined;
  return `PATH has the relative folder "${relative}", from which a program of another person could come`;
}
