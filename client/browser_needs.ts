import type { SessionOptions } from "./init_options.ts";
import type { PermissionNeed } from "./permission_need.ts";
import { browserLauncher } from "./prompt/browser_launcher.ts";

/**
 * What `openBrowser` needs. Not missed where it is not granted: the prompt says so, and has the link.
 * Deno itself does not grant a program that is not installed.
 */
export function browserNeeds({ openBrowser }: SessionOptions): PermissionNeed[] {
  if (openBrowser !== true) return [];
  const [command] = browserLauncher();
  return [{ name: "run", command, reason: "to open the browser at sign-in", need: "optional" }];
}
