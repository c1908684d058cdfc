import type { PermissionNeed } from "./permission_need.ts";

/** Options of `Session.dropPermissions`. */
export interface DropPermissionsOptions {
  /**
   * Whether the session will still refresh its token. Without it the grants for the provider and
   * for the stored tokens go too, and the session ends with its token.
   *
   * @default true
   */
  refresh?: boolean;
  /**
   * Whether to give up every permission of a kind that the session does not need, whoever else in
   * the process uses it: environment, subprocesses, native libraries, system information and
   * imports, and without `refresh` files. For a Deno Jupyter kernel, which starts with all
   * permissions: Deno cannot take a path or a variable out of such a grant, only the whole kind.
   *
   * @default false
   */
  all?: boolean;
}

/** What `Session.dropPermissions` did. */
export interface DropPermissionsResult {
  /** What is not granted any more. */
  readonly dropped: readonly Deno.PermissionDescriptor[];
  /**
   * What the session does not need and still has, since it is part of a wider grant, such as that of
   * `--allow-all`.
   */
  readonly stillGranted: readonly Deno.PermissionDescriptor[];
}

const KINDS = ["read", "write", "net", "env", "sys", "run", "ffi", "import"] as const;

/**
 * Gives up what a session does not need any more. Deno gives no way to take it back without asking
 * the person.
 *
 * @param needs What the session's sign-in needed.
 * @param isKept Which of that it needs further on.
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
