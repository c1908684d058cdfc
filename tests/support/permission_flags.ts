import { formatPermissionFlags } from "@validmind/auth";

/** The flags of these needs, for a process. Each name is there once: older Denos take no flag twice. */
export function permissionFlagsOf(needs: readonly Deno.PermissionDescriptor[]): string[] {
  const flags = formatPermissionFlags(needs).replaceAll(/['"]/g, "").matchAll(/--\S+/g);
  return Array.from(flags, ([flag]) => flag);
}
