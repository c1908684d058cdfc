const isWindows = Deno.build.os === "windows";

/**
 * The folder that holds the file at `path`. Not by `@std/path`: every start needs it, and the fourteen
 * modules behind the two forms of `dirname` cost a start more than the credentials file itself.
 */
export function folderOf(path: string): string {
  const [, root = "", rest = ""] = (isWindows ? /^([A-Za-z]:[/\\]*|[/\\]*)(.*)$/s : /^(\/*)(.*)$/s)
    .exec(path) ?? [];
  const parent = rest.replace(isWindows ? /[/\\]*[^/\\]*[/\\]*$/ : /\/*[^/]*\/*$/, "");
  return `${root}${parent}` || ".";
}
