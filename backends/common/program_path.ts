import { isAbsolute } from "./paths.ts";
import { isWindows } from "./runtime.ts";

/** Whether a program is named by its path, and not looked for in `PATH`. */
export function isProgramPath(program: string): boolean {
  return /[/\\]/.test(program);
}

/** The folders of a `PATH`. */
export function foldersOf(path: string = ""): string[] {
  return path.split(isWindows ? ";" : ":");
}

/**
 * The reason against a `PATH` with a folder that is not absolute, if there is one. A program would come
 * from whatever folder somebody works in, such as a cloned repository, or start another one from there.
 */
export function faultOfPath(path: string | undefined): string | undefined {
  const relative = foldersOf(path).find((folder) => !isAbsolute(folder));
  if (relative === undefined) return undefined;
  return `PATH has the relative folder "${relative}", from which a program of another person could come`;
}
