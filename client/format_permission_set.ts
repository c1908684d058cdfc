import { groupPermissions } from "./group_permissions.ts";

/**
 * A named permission set for `deno.json` that grants exactly these permissions: run with
 * `deno run -P=<name>` (Deno 2.5 or later).
 *
 * Needs no permission.
 *
 * @param descriptors What is to be granted, as `requiredPermissions` gives it.
 * @param name The set's name.
 * @returns JSON with a `permissions` member, to be merged into `deno.json`.
 * @throws {CredentialsBackendError} `invalid_permissions` for what is no descriptor.
 * @see https://docs.deno.com/runtime/fundamentals/configuration/
 *
 * @example
 * ```ts
 * import { formatPermissionSet } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * const text = formatPermissionSet([{ name: "env", variable: "HOME" }], "signin");
 * assertEquals(JSON.parse(text), { permissions: { signin: { env: ["HOME"] } } });
 * ```
 */
export function formatPermissionSet(
  descriptors: Iterable<Deno.PermissionDescriptor>,
  name: string = "validmind",
): string {
  const set = Object.fromEntries(groupPermissions(descriptors));
  return JSON.stringify({ permissions: { [name]: set } }, null, 2);
}
