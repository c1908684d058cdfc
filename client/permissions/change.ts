import { ValidMindAuthError } from "../errors.ts";
import {
  checkDescriptor,
  formatPermissionFlags,
  formatPermissionSet,
} from "../format_permissions.ts";
import type { PermissionNeed } from "../permission_need.ts";
import type { DropPermissionsResult } from "../session.ts";

/** Shows the purpose of each permission, then asks for them one by one. */
export async function askPermissions(
  action: string,
  needs: readonly PermissionNeed[],
): Promise<void> {
  const lines = needs.map((need) => `  ${describe(need)}, ${need.reason}`);
  const text = `To ${action}, these permissions are needed, and Deno will ask for each:\n` +
    `${lines.join("\n")}\n`;
  await Deno.stderr.write(new TextEncoder().encode(text));
  for (const need of needs) await Deno.permissions.request(need);
}

/** The error for missing permissions, with the flags for all permissions of the call. */
export function permissionRequired(
  action: string,
  denied: readonly PermissionNeed[],
  all: readonly PermissionNeed[],
): ValidMindAuthError {
  const required = all.filter((need) => need.need !== "optional" || denied.includes(need));
  const reasons = denied.map((need) => `${describe(need)} (${need.reason})`);
  return new ValidMindAuthError(
    "permission_required",
    `Cannot ${action}: Deno does not permit ${reasons.join(", ")}. ${flagAdvice(required)}` +
      `put this into deno.json and run with -P=validmind:\n${formatPermissionSet(required)}`,
  );
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

const KINDS = ["read", "write", "net", "env", "sys", "run", "ffi", "import"] as const;

/**
 * Revokes the permissions that a session does not need any more. Deno grants them again only by asking
 * the person.
 *
 * @param needs The permissions of the session's sign-in.
 * @param isKept Whether the session still needs one of them.
 * @param all Whether to revoke every kind that the session does not need.
 */
export async function dropPermissions(
  needs: readonly PermissionNeed[],
  isKept: (need: PermissionNeed) => boolean,
  all: boolean,
): Promise<DropPermissionsResult> {
  const kept = needs.filter(isKept);
  const unneeded: Deno.PermissionDescriptor[] = needs.filter((need) => !isKept(need)).map(bare);
  if (all) {
    const kinds = KINDS.filter((name) => !kept.some((need) => need.name === name));
    unneeded.push(...kinds.map((name) => ({ name })));
  }
  const granted = unneeded.filter(isGranted);
  for (const descriptor of granted) await Deno.permissions.revoke(descriptor);
  return {
    dropped: granted.filter((descriptor) => !isGranted(descriptor)),
    stillGranted: granted.filter(isGranted),
  };
}

function bare({ reason: _, need: _1, ...descriptor }: PermissionNeed): Deno.PermissionDescriptor {
  return descriptor as Deno.PermissionDescriptor;
}

function isGranted(descriptor: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(descriptor).state === "granted";
}
