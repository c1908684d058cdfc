import { join as joinPosix } from "@std/path/posix/join";
import { join as joinWindows } from "@std/path/windows/join";

/** The folder that holds `path`, without a module beyond those that every start loads. */
export function folderOf(path: string): string {
  return (Deno.build.os === "windows" ? joinWindows : joinPosix)(path, "..");
}
