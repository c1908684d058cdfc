import type { PermissionNeed } from "@validmind/auth";
import { SEPARATOR } from "@std/path";
import { netHost } from "../../../backends/common/platform.ts";

/** The path of an access. A folder is opened by the name of the dot in it, which only a folder has. */
export function accessed(path: string): string {
  return path.replace(/[/\\]\.$/, "");
}

/** Windows has two separators, and the log has each path as it was given. */
const plain = (path: string) => path.replaceAll("/", SEPARATOR);

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
  const [path, wanted] = [plain(value), plain(String(need.path ?? ""))];
  return path === wanted || path.startsWith(`${wanted}${SEPARATOR}`) ||
    wanted === path.replace(/-(wal|shm|journal)$/, "");
}
