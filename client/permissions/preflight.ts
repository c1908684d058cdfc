import { readEnvIfGranted } from "../../backends/common/environment.ts";
import { isInKv } from "../../backends/common/marks.ts";
import { isGranted, runLine, withOwn } from "../../backends/common/permission.ts";
import { isDeno, notebook } from "../../backends/common/runtime.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { normalizeIssuer } from "../credential_key.ts";
import { ValidMindAuthError } from "../errors.ts";
import {
  checkDescriptor,
  formatPermissionFlags,
  NAMES,
  type PermissionNeed,
} from "../format_permissions.ts";
import { checkBrowserOptions, listenNeeds, resolveRedirect } from "../options/browser_options.ts";
import { BROWSER_OPTIONS, GROUPS, optionRow } from "../options/declaration.ts";
import { readApiSecret } from "../options/secret_file.ts";
import type { DropPermissionsResult } from "../session.ts";
import type { SessionOptions } from "../session_options.ts";
import { asAlways, backendNeeds, bare, env } from "./start_needs.ts";

const ACTION = "name the permissions";

export { checkBrowserOptions, readApiSecret };

/** All kinds of a call whose variables are not read yet: they name its hosts, its files and its store. */
export const UNREAD = (["env", "net", "read", "write"] as const).map((name) => ({ name }));

/**
 * Checks permissions before any work. Nobody is asked for one by one: the error names the missing ones,
 * and one command with all that the call needs.
 *
 * @param action The caller's action, as in "Cannot {action}".
 * @param when The needs to check, by their time.
 * @param all All permissions of the call that are known, for the command.
 * @param backend The store, if it is known.
 * @throws {ValidMindAuthError} `permission_required`.
 */
export function preflight(
  action: string,
  needs: readonly PermissionNeed[],
  when: PermissionNeed["need"] = "always",
  all: () => readonly PermissionNeed[] = () => needs,
  backend?: OidcCredentialsBackend,
): void {
  const denied = needs.filter((need) => need.need === when && !isGranted(need));
  if (denied.length === 0) return;
  const isUnread = denied.some(({ name }) => name === "env");
  const known = all().filter((need) => isUsed(need)).map(bare);
  // The script itself may need what the person gave it.
  const kinds: Deno.PermissionDescriptor[] = NAMES.map((name) => ({ name })).filter(isGranted);
  if (isUnread) kinds.push(...UNREAD);
  const flags = permissionFlags([...kinds, ...known]);
  const commands = commandsFor("Run", runLine, flags, unstableFlag(backend));
  throw new ValidMindAuthError("permission_required", {
    action,
    reason: `Deno does not permit ${namesOf(denied)}`,
    // A kernel has all permissions, until a cell gives them up.
    remedy: notebook()
      ? "Restart the kernel: what it gave up does not come back."
      : commands + withOwn(),
    permissions: known,
  });
}

/**
 * Whether a need is used here: an optional variable if it is set, and the settings file if it is there.
 * The variables about the person always count: one that is set after the flags were printed is obeyed.
 *
 * @param unknown The answer where Deno does not let this process look.
 */
export function isUsed(need: PermissionNeed, unknown = false): boolean {
  if (need.need !== "optional" || need.reason === GROUPS.person) return true;
  if (!isGranted(need)) return unknown;
  if (need.name === "env") return readEnvIfGranted(need.variable!) !== undefined;
  if (need.name !== "read") return unknown;
  try {
    Deno.lstatSync(need.path!);
    return true;
  } catch {
    return false;
  }
}

/** Permissions with their purposes: "env A, B (to …), net c:443 (to …)". */
function namesOf(needs: readonly PermissionNeed[]) {
  const groups = Map.groupBy(needs, ({ name, reason }) => `${name} (${reason})`);
  return [...groups.values()].map((group) => {
    const scopes = group.map((need) => checkDescriptor(need, "this module").scope ?? "(all)");
    const [{ name, reason }] = group as [PermissionNeed];
    return `${name} ${scopes.join(", ")} (${reason})`;
  }).join(", ");
}

/** The flags of Deno for a call. A value with a comma, which no flag can carry, leaves all permissions. */
export function permissionFlags(permissions: readonly Deno.PermissionDescriptor[]): string {
  try {
    return formatPermissionFlags(permissions);
  } catch {
    return "-A";
  }
}

/** The flag of Deno for a store, with a space after it. */
export function unstableFlag(backend: OidcCredentialsBackend | undefined): string {
  return backend !== undefined && isInKv(backend) ? "--unstable-kv " : "";
}

/** A command with these flags, and the shorter one with all permissions. */
export function commandsFor(
  way: string,
  lineOf: (flags: string) => string,
  flags: string,
  unstable: string,
): string {
  const exact = `${way}\n  ${lineOf(unstable + flags)}`;
  if (flags === "-A") return exact;
  return `${exact}\nor, shorter,\n  ${lineOf(`${unstable}-A`)}`;
}

/**
 * The needs of a sign-in in the browser: the place to listen at; and the program that opens the page, with
 * the variables that it hands on. Without the program's grant the prompt shows the link alone. Deno itself
 * grants no program that is not installed.
 */
export function browserNeeds(options: SessionOptions): PermissionNeed[] {
  // `auto` needs its permissions only where it comes to the browser.
  const isFlow = options.flow === "browser";
  const { openBrowser = isFlow && options.onAuthorizationUrl === undefined } = options;
  const needs: PermissionNeed[] = [];
  if (isFlow && isDeno) {
    const issuer = normalizeIssuer(options.issuer ?? "");
    needs.push(...REDIRECT_NEEDS, ...listenNeeds(resolveRedirect(options, issuer, ACTION)));
  }
  if (openBrowser && isDeno) {
    const { command, variables } = browserLauncher();
    const reason = "to open the browser at sign-in";
    needs.push({ name: "run", command, reason, need: "optional" });
    needs.push(...variables.map((variable) => env(variable, reason, "optional")));
  }
  return needs;
}

/** The variables that say where to listen. */
const REDIRECT_NEEDS = [
  ...BROWSER_OPTIONS.flatMap((name) => optionRow(name).variable ?? []),
  "JUPYTERHUB_PUBLIC_HUB_URL",
  "SSH_CONNECTION",
  "SSH_TTY",
].map((variable) => env(variable, GROUPS.browser, "optional"));

/** The needs of signing out: all permissions that the backend declares, since an entry is removed. */
export function clearNeeds(backend: OidcCredentialsBackend): PermissionNeed[] {
  const reason = "to remove the stored tokens";
  return backendNeeds(backend).map((need) => asAlways({ ...need, reason }));
}

/** The work of `Session.dropPermissions`. */
export async function dropPermissions(
  needs: readonly PermissionNeed[],
  willRefresh: boolean,
  all: boolean,
): Promise<DropPermissionsResult> {
  const isKept = (need: PermissionNeed) =>
    need.name !== "env" && (willRefresh || need.name === "net" && need.need === "always");
  const kept = needs.filter(isKept);
  const unneeded: Deno.PermissionDescriptor[] = needs.filter((need) => !isKept(need)).map(bare);
  if (all) {
    const kinds = NAMES.filter((name) => !kept.some((need) => need.name === name));
    unneeded.push(...kinds.map((name) => ({ name })));
  }
  const granted = unneeded.filter(isGranted);
  for (const one of granted) if (isDeno) await Deno.permissions.revoke(one);
  return {
    dropped: granted.filter((descriptor) => !isGranted(descriptor)),
    stillGranted: granted.filter(isGranted),
  };
}

/**
 * The program that opens a page in the person's browser, by the system: its name with the arguments before
 * the page, and the only variables that it gets. By these it finds browser and screen, on Linux also in
 * WSL. This process's others may be secrets.
 */
const LAUNCHERS: Record<string, string[] | undefined> = {
  darwin: ["open", "HOME PATH"],
  windows: [
    "rundll32 url.dll,FileProtocolHandler",
    "SystemRoot PATH USERPROFILE APPDATA LOCALAPPDATA TEMP",
  ],
};
const XDG_LAUNCHER = [
  "xdg-open",
  "DISPLAY WAYLAND_DISPLAY XAUTHORITY DBUS_SESSION_BUS_ADDRESS DESKTOP_SESSION XDG_CURRENT_DESKTOP " +
  "XDG_SESSION_TYPE XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_CONFIG_DIRS XDG_DATA_HOME XDG_DATA_DIRS " +
  "KDE_SESSION_VERSION BROWSER HOME PATH LANG WSL_DISTRO_NAME WSL_INTEROP",
];

/** The program for this system. */
export function browserLauncher() {
  const [call, names] = LAUNCHERS[Deno.build.os] ?? XDG_LAUNCHER;
  const [command, ...before] = call!.split(" ");
  return { command: command!, before, variables: names!.split(" ") };
}
