import { CredentialsBackendError } from "../backends/credentials_backend_error.ts";
import { groupPermissions } from "./group_permissions.ts";

/**
 * The `deno run` flags that grant exactly these permissions, quoted for a shell (of Windows, there).
 *
 * Needs no permission.
 *
 * @param descriptors What is to be granted, as `requiredPermissions` gives it.
 * @returns The flags, separated by spaces; empty for nothing.
 * @throws {CredentialsBackendError} `invalid_permissions` for what is no descriptor, and for a value
 * with a comma: Deno's flags separate values by commas and have no way to write one. A permission
 * set does: see `formatPermissionSet`.
 *
 * @example
 * ```ts
 * import { formatPermissionFlags } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(
 *   formatPermissionFlags([
 *     { name: "net", host: "login.example.com:443" },
 *     { name: "read", path: "/data" },
 *     { name: "net", host: "api.example.com:443" },
 *   ]),
 *   "--allow-read=/data --allow-net=login.example.com:443,api.example.com:443",
 * );
 * ```
 */
export function formatPermissionFlags(descriptors: Iterable<Deno.PermissionDescriptor>): string {
  return [...groupPermissions(descriptors)].map(([name, scopes]) => {
    if (scopes === true) return `--allow-${name}`;
    const comma = scopes.find((scope) => scope.includes(","));
    if (comma !== undefined) throw inexpressible(name, comma);
    return quote(`--allow-${name}=${scopes.join(",")}`);
  }).join(" ");
}

function quote(argument: string): string {
  if (/^[\w\-./:=,@%+\\]+$/.test(argument) && (isWindows() || !argument.includes("\\"))) {
    return argument;
  }
  return isWindows() ? `"${argument}"` : `'${argument.replaceAll("'", `'\\''`)}'`;
}

function isWindows(): boolean {
  return Deno.build.os === "windows";
}

function inexpressible(name: string, scope: string): CredentialsBackendError {
  return new CredentialsBackendError(
    "invalid_permissions",
    `Cannot write --allow-${name} for ${JSON.stringify(scope)}: it has a comma, and Deno's flags ` +
      `have no way to write one. Use a permission set in deno.json, or another path.`,
  );
}
