import { isGranted, writeError } from "../../backends/common/platform.ts";
import { call, words } from "../../backends/credentials_backend_error.ts";
import { ValidMindAuthError } from "../errors.ts";
import {
  checkDescriptor,
  formatPermissionFlags,
  formatPermissionSet,
} from "../format_permissions.ts";
import type { PermissionNeed } from "../permission_need.ts";
import { PLACES, selectionNeeds } from "./start_needs.ts";

/**
 * Checks permissions before any work. In a terminal the person is asked for each missing one, with
 * its reason. Elsewhere a missing one is an error that names all flags.
 *
 * @param action The caller's action, as in "Cannot {action}".
 * @param when The needs to check, by their time.
 * @param all All permissions of the call that are known, for the error.
 * @throws {ValidMindAuthError} `permission_required`.
 */
export async function preflight(
  action: string,
  needs: readonly PermissionNeed[],
  when: PermissionNeed["need"],
  all: () => readonly PermissionNeed[] = () => needs,
): Promise<void> {
  const missing = needs.filter((need) => need.need === when && !isGranted(need));
  if (missing.length === 0) return;
  if (Deno.stdin.isTerminal() && Deno.stderr.isTerminal()) await askPermissions(action, missing);
  const denied = missing.filter((need) => !isGranted(need));
  if (denied.length > 0) throw permissionRequired(action, denied, all());
}

/** Shows the purpose of each permission, then asks for them one by one. */
async function askPermissions(
  action: string,
  needs: readonly PermissionNeed[],
): Promise<void> {
  const lines = needs.map((need) => `  ${describe(need)}, ${need.reason}`);
  const text = `To ${action}, these permissions are needed, and Deno will ask for each:\n` +
    `${lines.join("\n")}\n`;
  writeError(text);
  for (const need of needs) await Deno.permissions.request(need);
}

/** The error for missing permissions, with the flags for all permissions of the call. */
function permissionRequired(
  action: string,
  denied: readonly PermissionNeed[],
  all: readonly PermissionNeed[],
): ValidMindAuthError {
  const required = all.filter((need) => need.need !== "optional" || denied.includes(need));
  const reasons = denied.map((need) => `${describe(need)} (${need.reason})`).join(", ");
  // The command line has flags of its own for a script's permissions.
  const advice = call("grantPermissions", { action }, adviceFor(required));
  return new ValidMindAuthError(
    "permission_required",
    words`Cannot ${action}: Deno does not permit ${reasons}. ${advice}`,
  );
}

/** The flags, with the places that the reader fills in; without places, a permission set as well. */
function adviceFor(required: readonly PermissionNeed[]): string {
  const has = (place: string) => required.some((need) => Object.values(need).includes(place));
  const places = [
    ...(has(PLACES.provider) ? [`${PLACES.provider} by the host in VM_OIDC_ISSUER`] : []),
    ...(has(PLACES.api) ? [`${PLACES.api} by the host in VM_API_HOST`] : []),
  ];
  if (places.length === 0 && !has(PLACES.folder)) {
    return `${flagAdvice(required)}put this into deno.json and run with -P=validmind:\n` +
      formatPermissionSet(required);
  }
  return [
    // The shell has to expand $HOME.
    `Run with\n  ${formatPermissionFlags(required).replaceAll("'", '"')}\n`,
    places.length === 0
      ? ""
      : `and replace ${places.join(", and ")}, such as login.example.com:443. `,
    has(PLACES.folder) ? "The folder is that of the default store." : "",
  ].join("").trimEnd();
}

function flagAdvice(required: readonly PermissionNeed[]): string {
  try {
    return `Run with\n  ${formatPermissionFlags(required)}\nor `;
  } catch {
    return "A path has a comma, which Deno's flags cannot carry: "; // the set can
  }
}

function describe(need: PermissionNeed): string {
  const { name, scope = "(all)" } = checkDescriptor(need, "this module");
  return `${name} ${scope}`;
}

/**
 * Checks the variables that choose the backend. After a person's answers more of them are readable,
 * and may call for a further one.
 */
export async function ensureSelection(
  ensure: (needs: PermissionNeed[]) => Promise<void>,
): Promise<void> {
  const known = new Set<string>();
  for (;;) {
    const needs = selectionNeeds().filter((need) => !known.has(JSON.stringify(need)));
    if (needs.length === 0) return;
    await ensure(needs);
    for (const need of needs) known.add(JSON.stringify(need));
  }
}
