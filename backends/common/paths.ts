import { isWindows } from "./runtime.ts";

/**
 * The path of a `file:` URL; `undefined` for any other one. Every start would read the seven modules of
 * `@std/path` for it.
 */
export function pathOfUrl(url: URL, onWindows: boolean = isWindows): string | undefined {
  if (url.protocol !== "file:") return undefined;
  try {
    const path = decodeURIComponent(url.pathname);
    if (!onWindows) return path;
    const host = url.hostname && `//${url.hostname}`;
    return `${host}${path.replace(/^\/(?=[A-Za-z]:)/, "")}`.replaceAll("/", "\\");
  } catch {
    return undefined;
  }
}

/**
 * The folder that holds the file at `path`.
 *
 * Every start calls this. The fourteen modules of `@std/path` for it would cost a start more than
 * reading the file.
 */
export function folderOf(path: string): string {
  const [, root = "", rest = ""] = (isWindows ? /^([A-Za-z]:[/\\]*|[/\\]*)(.*)$/s : /^(\/*)(.*)$/s)
    .exec(path) ?? [];
  const parent = rest.replace(isWindows ? /[/\\]*[^/\\]*[/\\]*$/ : /\/*[^/]*\/*$/, "");
  return `${root}${parent}` || ".";
}

/** The last part of a path. */
export function nameOf(path: string): string {
  return path.split(isWindows ? /[/\\]/ : "/").at(-1)!;
}

/** Whether a module is named by its path. */
export function isPathSpecifier(specifier: string): boolean {
  return /^(\.{0,2}[/\\]|[A-Za-z]:[/\\])/.test(specifier);
}
