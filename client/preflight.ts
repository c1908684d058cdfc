import type { PermissionNeed } from "./permission_need.ts";

/**
 * Makes sure of permissions before any work. In a terminal where Deno may ask, the person is asked
 * for each that is missing, with its reason; else a missing one is an error that names all flags.
 *
 * @param action What cannot be done without them, as in "Cannot {action}".
 * @param all What the whole call needs, as far as it is known.
 * @param now Which of them are needed now.
 * @throws {ValidMindAuthError} `permission_required`.
 */
export async function preflight(
  action: string,
  all: readonly PermissionNeed[],
  now: PermissionNeed["need"],
): Promise<void> {
  const missing = all.filter((need) => need.need === now && !isGranted(need));
  if (missing.length === 0) return;
  const { askPermissions, permissionRequired } = await import("./ask_permissions.ts");
  if (canAsk()) await askPermissions(action, missing);
  const denied = missing.filter((need) => !isGranted(need));
  if (denied.length > 0) throw permissionRequired(action, denied, all);
}

function isGranted(need: PermissionNeed): boolean {
  return Deno.permissions.querySync(need).state === "granted";
}

/** Deno asks on a terminal only; without one it would deny, after a line for nobody. */
function canAsk(): boolean {
  return Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
}
