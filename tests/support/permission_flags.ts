import { formatPermissionFlags } from "@validmind/auth";

/** The flags of these needs, for a process. Each name is there once: older Denos take no flag twice. */
export function permissionFlagsOf(needs: readonly Deno.PermissionDescriptor[]): string[] {
  const names = [...new Set(needs.map(({ name }) => name))];
  return names.map((name) =>
    formatPermissionFlags(needs.filter((need) => need.name === name)).replaceAll(/['"]/g, "")
  );
}

/** The words of a line, as this system's shell takes them: a path in it may have spaces. */
export function wordsIn(line: string): string[] {
  if (Deno.build.os === "windows") {
    return (line.match(/(?:"[^"]*"|\S)+/g) ?? []).map((word) => word.replaceAll('"', ""));
  }
  const words = line.match(/(?:'[^']*'|\\.|[^\s'\\])+/g) ?? [];
  return words.map((word) => word.replace(/'([^']*)'|\\(.)/g, "$1$2"));
}
