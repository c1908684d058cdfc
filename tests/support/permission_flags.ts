import { formatPermissionFlags } from "@validmind/auth";

/** The flags of these needs, for a process. Each name is there once: older Denos take no flag twice. */
export function permissionFlagsOf(needs: readonly Deno.PermissionDescriptor[]): string[] {
  const names = [...new Set(needs.map(({ name }) => name))];
  return names.map((name) =>
    formatPermissionFlags(needs.filter((need) => need.name === name)).replaceAll(/['"]/g, "")
  );
}
