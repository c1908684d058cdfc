import { assertReadableBackend, backendName } from "../../backends/common/describe_backend.ts";
import type {
  BackendPermission,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import {
  getEnv,
  HOME_VARIABLE,
  isEnvGranted,
  isGranted,
  netHost,
  writeError,
} from "../../backends/common/platform.ts";
import { readBackendChoice, variablesIn } from "../../backends/load/backend_setting.ts";
import { call, words } from "../../backends/credentials_backend_error.ts";
import { ValidMindAuthError } from "../errors.ts";
import {
  checkDescriptor,
  formatPermissionFlags,
  formatPermissionSet,
  SCOPES,
} from "../format_permissions.ts";
import type { PermissionNeed } from "../permission_need.ts";
import type { ResolvedOptions } from "../options/resolve_options.ts";

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

/** Stand for what the variables of a start would tell, where Deno does not permit to read them. */
export const PLACES = { provider: "PROVIDER", api: "API", folder: "$HOME/.validmind" } as const;

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

/** A need for each variable whose option is absent. */
export function openNeeds(
  when: PermissionNeed["need"],
  reason: string,
  options: Readonly<Record<string, unknown>>,
): PermissionNeed[] {
  return Object.entries(options).flatMap(([variable, given]): PermissionNeed[] =>
    given === undefined ? [{ name: "env", variable, reason, need: when }] : []
  );
}

/**
 * The API's host, which every start checks. A `fetch` of the caller's own may need no network or
 * another permission, so nothing is checked for it.
 */
export function apiNeeds({ apiHost, runtime }: ResolvedOptions): PermissionNeed[] {
  if (apiHost === undefined || runtime.fetch !== globalThis.fetch) return [];
  const host = netHost(new URL(apiHost));
  return [{ name: "net", host, reason: "to call the API", need: "always" }];
}

/**
 * The variables that choose the backend if neither an argument nor a default does, as far as the
 * readable ones tell.
 */
export function selectionNeeds(): PermissionNeed[] {
  const read = (variable: string) => isEnvGranted(variable) ? getEnv(variable) : null;
  const { variables, options } = readBackendChoice(read);
  return [
    ...variables.map((variable) =>
      variable === HOME_VARIABLE ? env(variable, "to find the stored tokens") : env(variable)
    ),
    ...(options === undefined ? [] : optionNeeds(read(options) ?? "")),
  ];
}

/** The needs of `${NAME}` in the text of a backend's options. */
export function optionNeeds(text: string): PermissionNeed[] {
  return variablesIn(text).map((variable) => env(variable, "to complete the backend's options"));
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

function env(variable: string, reason = "to choose where tokens are kept"): PermissionNeed {
  return { name: "env", variable, reason, need: "always" };
}

/**
 * The permissions that a backend declares. A backend that declares none adds none.
 *
 * @throws {CredentialsBackendError} `invalid_permissions` for anything but permission descriptors;
 * `invalid_backend` for one that cannot be described.
 */
export function backendNeeds(backend: OidcCredentialsBackend): PermissionNeed[] {
  const origin = backendName(backend);
  assertReadableBackend(backend, origin);
  return declaredBy(backend, origin).map((descriptor) => {
    const { name } = checkDescriptor(descriptor, origin);
    if (name === "net" || name === "import" || name === "sys") {
      assertKnownToDeno(descriptor, origin);
    }
    const when = descriptor.need === "sign_in" ? "sign_in" : "always";
    const isWrite = when === "sign_in" || name === "write";
    const reason = isWrite ? "to keep the tokens" : "to find the stored tokens";
    return { ...descriptor, reason, need: when };
  });
}

function declaredBy(backend: OidcCredentialsBackend, origin: string): BackendPermission[] {
  let declared: unknown;
  try {
    declared = backend.requiredPermissions?.() ?? [];
  } catch {
    // The backend's own words may hold anything, so they are not shown.
  }
  if (!Array.isArray(declared)) checkDescriptor(undefined, origin);
  return declared as BackendPermission[];
}

/** Deno itself refuses an invalid host or kind. */
function assertKnownToDeno(descriptor: Deno.PermissionDescriptor, origin: string): void {
  try {
    isGranted(descriptor);
  } catch {
    checkDescriptor({ name: descriptor.name, [SCOPES[descriptor.name]]: null }, origin);
  }
}
