import { CredentialsBackendError } from "../backends/credentials_backend_error.ts";

/** In the order in which flags are shown. */
const NAMES = ["read", "write", "net", "env", "sys", "run", "ffi", "import"] as const;

/** Which member of a descriptor narrows it. */
export const SCOPES: Record<(typeof NAMES)[number], string> = {
  read: "path",
  write: "path",
  net: "host",
  env: "variable",
  sys: "kind",
  run: "command",
  ffi: "path",
  import: "host",
};

/** Permissions by name: `true` for all of a kind, else what they are narrowed to. */
export type PermissionGroups = Map<(typeof NAMES)[number], true | string[]>;

/**
 * Puts descriptors of a kind together.
 *
 * @throws {CredentialsBackendError} `invalid_permissions` for what is no descriptor.
 */
export function groupPermissions(
  descriptors: Iterable<Deno.PermissionDescriptor>,
): PermissionGroups {
  const checked = [...descriptors].map((descriptor) => checkDescriptor(descriptor, "the list"));
  const groups: PermissionGroups = new Map();
  for (const name of NAMES) {
    const scopes = checked.filter((one) => one.name === name).map((one) => one.scope);
    if (scopes.length === 0) continue;
    groups.set(name, scopes.includes(undefined) ? true : widest(name, scopes as string[]));
  }
  return groups;
}

/** A scope as text; a file URL counts as its path. */
function scopeOf(value: unknown): unknown {
  if (!(value instanceof URL)) return value;
  try {
    return value.protocol === "file:" ? decodeURIComponent(value.pathname) : null;
  } catch {
    return null;
  }
}

function isScope(name: string, scope: unknown): scope is string | undefined {
  if (scope === undefined) return true;
  if (typeof scope !== "string" || scope === "") return false;
  return (name !== "net" && name !== "import") || HOST.test(scope);
}

/** A host name or address, with a port or without; a Unix socket. */
const HOST = /^(unix:.+|(\[[\da-f:.]+\]|[^\s:/?#@]+)(:\d{1,5})?)$/i;

/** Each once, and no path that lies in another one's folder. */
function widest(name: string, scopes: readonly string[]): string[] {
  const once = [...new Set(scopes)];
  if (name !== "read" && name !== "write") return once;
  return once.filter((path) => !once.some((folder) => isWithin(path, folder)));
}

/** Whether a path lies below a folder. */
export function isWithin(path: string, folder: string): boolean {
  const start = /[/\\]$/.test(folder) ? folder : `${folder}${folder.includes("\\") ? "\\" : "/"}`;
  return path !== folder && path.startsWith(start);
}

/**
 * The kind and narrowing of a descriptor.
 *
 * @param origin Who declared it, for the error.
 * @throws {CredentialsBackendError} `invalid_permissions`.
 */
export function checkDescriptor(
  descriptor: unknown,
  origin: string,
): { name: (typeof NAMES)[number]; scope: string | undefined } {
  const fields =
    (typeof descriptor === "object" && descriptor !== null ? descriptor : {}) as Record<
      string,
      unknown
    >;
  const name = NAMES.find((known) => known === fields.name);
  const scope = name && scopeOf(fields[SCOPES[name]]);
  if (name !== undefined && isScope(name, scope)) return { name, scope };
  throw new CredentialsBackendError(
    "invalid_permissions",
    `Cannot use the permissions that ${origin} declares: ` +
      `${
        name === undefined
          ? "one has no known name"
          : `one of "${name}" has a wrong ${SCOPES[name]}`
      }` +
      `. Declare Deno.PermissionDescriptor objects such as { name: "read", path: "/data" }.`,
  );
}
