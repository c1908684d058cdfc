import { pathOfUrl } from "../backends/common/paths.ts";
import { isWindows, quoteArgument } from "../backends/common/runtime.ts";
import { CredentialsBackendError } from "../backends/credentials_backend_error.ts";

/**
 * One permission that a call needs: a `Deno.PermissionDescriptor` with its reason.
 *
 * `need` is `always` if every start requires the permission. It is `sign_in` if a sign-in or a
 * refresh requires it, and a start from a valid stored token does not. It is `optional` if the
 * permission is used only where it is granted.
 *
 * @category Permissions
 */
export type PermissionNeed = Deno.PermissionDescriptor & {
  /** The purpose, as in "to …". */
  readonly reason: string;
  /** When it is required. */
  readonly need: "always" | "sign_in" | "optional";
};

/**
 * Options of `requiredPermissions`, beside the options of the call itself.
 *
 * @category Permissions
 */
export interface RequiredPermissionsOptions {
  /**
   * The call. `clearOidcCredentials` of the same credentials needs no more.
   *
   * @default {"init"}
   */
  call?: "init" | "createSession";
  /**
   * Whether to ask the provider for its endpoints, so that their hosts are included. Needs
   * `--allow-net` for the issuer's host.
   *
   * @default {false}
   */
  discover?: boolean;
}

/** The member that narrows a descriptor, by its kind, in the order of the flags. */
export const SCOPES = {
  read: "path",
  write: "path",
  net: "host",
  env: "variable",
  sys: "kind",
  run: "command",
  ffi: "path",
  import: "host",
} as const;

type PermissionName = keyof typeof SCOPES;

/** The kinds of permissions. */
export const NAMES = Object.keys(SCOPES) as readonly PermissionName[];

/** Permissions by kind: `true` for all of it, or the values that narrow it. */
function groupPermissions(
  descriptors: Iterable<Deno.PermissionDescriptor>,
): [PermissionName, true | string[]][] {
  const checked = [...descriptors].map((descriptor) => checkDescriptor(descriptor, "the list"));
  return NAMES.flatMap((name): [PermissionName, true | string[]][] => {
    const all = new Set(checked.filter((one) => one.name === name).map(({ scope }) => scope));
    if (all.size === 0) return [];
    if (all.has(undefined)) return [[name, true]];
    const scopes = [...all] as string[];
    // A folder's grant covers what is in it.
    const isCovered = (path: string) =>
      scopes.some((folder) => path.startsWith(`${folder}${isWindows ? "\\" : "/"}`));
    return [[name, scopes.filter((scope) => !isCovered(scope))]];
  });
}

/** A host name or address, with or without a port, or a Unix socket. */
const HOST = /^(unix:.+|(\[[\da-f:.]+\]|[^\s:/?#@]+)(:\d{1,5})?)$/i;

/** The kind and narrowing of a descriptor; an error where `origin` declares anything else. */
export function checkDescriptor(
  descriptor: unknown,
  origin: string,
): { name: PermissionName; scope: string | undefined } {
  const fields = Object(descriptor) as Record<string, unknown>;
  const name = fields.name as PermissionName;
  const isKnown = NAMES.includes(name);
  const value = fields[SCOPES[name]];
  const scope = value instanceof URL ? pathOfUrl(value) ?? null : value;
  const form = SCOPES[name] === "host" ? HOST : /./s;
  const isFit = scope === undefined || typeof scope === "string" && form.test(scope);
  if (isKnown && isFit) return { name, scope };
  const reason = isKnown
    ? `one of "${name}" has a wrong ${SCOPES[name]}`
    : "the name of one is not known";
  throw new CredentialsBackendError("invalid_permissions", {
    action: `use the permissions that ${origin} declares`,
    reason,
    remedy: 'Declare Deno.PermissionDescriptor objects such as { name: "read", path: "/data" }.',
  });
}

/**
 * Formats the `deno run` flags that grant exactly these permissions, quoted for the shell of this
 * system.
 *
 * Needs no permission.
 *
 * @param descriptors The permissions, such as the result of `requiredPermissions`.
 * @returns The flags, separated by spaces; empty without permissions.
 * @throws {CredentialsBackendError} `invalid_permissions` for anything but a descriptor, and for a
 * value with a comma. Deno's flags separate values by commas and cannot escape one. A permission set
 * can hold it: see {@linkcode formatPermissionSet}.
 * @category Permissions
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
  return groupPermissions(descriptors).map(([name, scopes]) => {
    if (scopes === true) return `--allow-${name}`;
    const comma = scopes.find((scope) => scope.includes(","));
    if (comma !== undefined) {
      throw new CredentialsBackendError("invalid_permissions", {
        action: `write --allow-${name} for ${JSON.stringify(comma)}`,
        reason: "it has a comma, which Deno's flags cannot carry",
        remedy: "Use a permission set in deno.json, or another path.",
      });
    }
    return quoteArgument(`--allow-${name}=${scopes.join(",")}`);
  }).join(" ");
}

/**
 * Formats a named permission set for `deno.json` that grants exactly these permissions. Use it with
 * `deno run -P=<name>` (Deno 2.5 or later).
 *
 * Needs no permission.
 *
 * @param descriptors The permissions, such as the result of `requiredPermissions`.
 * @param name The set's name.
 * @returns JSON with a `permissions` member, to merge into `deno.json`.
 * @throws {CredentialsBackendError} `invalid_permissions` for anything but a descriptor.
 * @see https://docs.deno.com/runtime/fundamentals/configuration/
 * @category Permissions
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
