import type { PermissionNeed } from "@validmind/auth";
import { netHost } from "../../backends/common/check_options.ts";

/** The path of an access. A folder is opened by the name of the dot in it. */
export function accessed(path: string): string {
  return path.replace(/\/\.$/, "");
}

/** Whether a need grants an access of Deno's audit log. */
export function covers(
  need: PermissionNeed,
  { permission, value }: { permission: string; value: string },
): boolean {
  if (need.name !== permission) return false;
  if (need.name === "env") return need.variable === value;
  // A request is logged as its address, a listener as its host and port.
  if (need.name === "net") {
    return need.host === (/^https?:/.test(value) ? netHost(new URL(value)) : value);
  }
  if (need.name !== "read" && need.name !== "write") return false;
  return value === need.path || value.startsWith(`${need.path}/`) ||
    (need.path === value.replace(/-(wal|shm|journal)$/, ""));
}
