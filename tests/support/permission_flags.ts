import { formatPermissionFlags } from "@validmind/auth";

/** The flags of these needs, for a process. Each name is there once: older Denos take no flag twice. */
export function permissionFlagsOf(needs: readonly Deno.PermissionDescriptor[]): string[] {
  const names = [...new Set(needs.map(({ name }) => name))];
  return names.map((name) =>
    wordsIn(formatPermissionFlags(needs.filter((need) => need.name === name))).join(" ")
  );
}

/** The words of a line, as a shell takes them: a path in it may have spaces, and a quote. */
export function wordsIn(line: string): string[] {
  const words = line.match(/(?:'[^']*'|"[^"]*"|\\['\\]|[^\s'"])+/g) ?? [];
  return words.map((word) => word.replace(/'([^']*)'|"([^"]*)"|\\(['\\])/g, "$1$2$3"));
}
