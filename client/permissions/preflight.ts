import { HOME_VARIABLE } from "../../backends/credentials_path.ts";
import { netHost } from "../../backends/common/hosts.ts";
import type {
  BackendPermission,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import { isEnvGranted, readEnvIfGranted } from "../../backends/common/read_env.ts";
import { readBackendChoice } from "../../backends/resolve_credentials_backend.ts";
import { checkDescriptor, SCOPES } from "../format_permissions.ts";
import type { InitOptions } from "../session_options.ts";
import type { PermissionNeed } from "../permission_need.ts";
import type { ResolvedOptions } from "../options/resolve_options.ts";

/**
 * Makes sure of permissions before any work. In a terminal where Deno may ask, the person is asked
 * for each that is missing, with its reason; else a missing one is an error that names all flags.
 *
 * @param action What cannot be done without them, as in "Cannot {action}".
 * @param needs What is made sure of.
 * @param now Which of them are needed now.
 * @param all What the whole call needs, as far as it is known, for the error.
 * @throws {ValidMindAuthError} `permission_required`.
 */
export async function preflight(
  action: string,
  needs: readonly PermissionNeed[],
  now: PermissionNeed["need"],
  all: () => readonly PermissionNeed[] = () => needs,
): Promise<void> {
  const missing = needs.filter((need) => need.need === now && !isGranted(need));
  if (missing.length === 0) return;
  const { askPermissions, permissionRequired } = await import("./change.ts");
  if (canAsk()) await askPermissions(action, missing);
  const denied = missing.filter((need) => !isGranted(need));
  if (denied.length > 0) throw permissionRequired(action, denied, all());
}

function isGranted(need: PermissionNeed): boolean {
  return Deno.permissions.querySync(need).state === "granted";
}

/** Deno asks on a terminal only; without one it would deny, after a line for nobody. */
function canAsk(): boolean {
  return Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
}

/** The program that opens a page in the person's browser, and what it takes before the page. */
const LAUNCHERS: Partial<Record<typeof Deno.build.os, readonly [string, ...string[]]>> = {
  darwin: ["open"],
  windows: ["rundll32", "url.dll,FileProtocolHandler"],
};

/** The variables for the options that no start can do without. */
export function variableNeeds(options: InitOptions, isInit: boolean): PermissionNeed[] {
  const { issuer, clientId, apiKey, apiSecret } = options;
  const needs: PermissionNeed[] = [];
  addOpen(
    needs,
    "always",
    "to know who signs in",
    isByKey(options)
      ? { VM_API_KEY: apiKey, VM_API_SECRET: apiSecret }
      : { VM_OIDC_ISSUER: issuer, VM_OIDC_CLIENT_ID: clientId },
  );
  if (isInit) addOpen(needs, "always", "to know the model", { VM_API_MODEL: options.model });
  return needs;
}

/** Whether it is an API key that signs in, as far as options and readable variables tell. */
export function isByKey({ issuer, clientId, apiKey, apiSecret }: InitOptions): boolean {
  if (apiKey !== undefined || apiSecret !== undefined) return true;
  return issuer === undefined && clientId === undefined &&
    readEnvIfGranted("VM_OIDC_ISSUER") === undefined &&
    readEnvIfGranted("VM_API_KEY") !== undefined;
}

/** Adds one need for each variable whose option is not given. */
export function addOpen(
  needs: PermissionNeed[],
  need: PermissionNeed["need"],
  reason: string,
  variables: Record<string, unknown>,
): void {
  for (const [variable, given] of Object.entries(variables)) {
    if (given === undefined) needs.push({ name: "env", variable, reason, need });
  }
}

/**
 * The API's host, which every start makes sure of. None with a `fetch` of the caller's own, which may
 * need no network, or another permission for it.
 */
export function apiNeeds({ apiHost, runtime }: ResolvedOptions): PermissionNeed[] {
  if (apiHost === undefined || runtime.fetch !== globalThis.fetch) return [];
  const host = netHost(new URL(apiHost));
  return [{ name: "net", host, reason: "to call the API", need: "always" }];
}

/** The provider's host, which a start from a stored token has no use for. */
export function issuerNeeds({ identity, runtime }: ResolvedOptions): PermissionNeed[] {
  if (identity.kind !== "oidc" || runtime.fetch !== globalThis.fetch) return [];
  const host = netHost(new URL(identity.issuer));
  return [{ name: "net", host, reason: "to sign in at the provider", need: "sign_in" }];
}

/**
 * The variables that choose the backend, where neither an argument nor a default does; as many as
 * follow from those that may be read already.
 */
export function selectionNeeds(): PermissionNeed[] {
  const read = (variable: string) => isEnvGranted(variable) ? Deno.env.get(variable) : null;
  return readBackendChoice(read).variables.map((variable) =>
    variable === HOME_VARIABLE ? env(variable, "to find the stored tokens") : env(variable)
  );
}

/**
 * Has these variables made sure of, and then those that the answers of a person have brought up: what
 * may be read by then may call for one more.
 */
export async function ensureSelection(
  ensure: (needs: PermissionNeed[]) => Promise<void>,
): Promise<void> {
  const needs = selectionNeeds();
  await ensure(needs);
  const more = selectionNeeds().slice(needs.length);
  if (more.length > 0) await ensure(more);
}

function env(variable: string, reason = "to choose where tokens are kept"): PermissionNeed {
  return { name: "env", variable, reason, need: "always" };
}

/**
 * What a backend declares. One that declares nothing adds nothing.
 *
 * @throws {CredentialsBackendError} `invalid_permissions` for what is no descriptor.
 */
export function backendNeeds(backend: OidcCredentialsBackend): PermissionNeed[] {
  const origin = backend.constructor?.name || "the credentials backend";
  const needs: PermissionNeed[] = [];
  for (const descriptor of declaredBy(backend, origin)) {
    const { name } = checkDescriptor(descriptor, origin);
    if (name === "net" || name === "import" || name === "sys") {
      assertKnownToDeno(descriptor, origin);
    }
    const need = descriptor.need === "sign_in" ? "sign_in" : "always";
    const isWrite = need === "sign_in" || name === "write";
    const reason = isWrite ? "to keep the tokens" : "to find the stored tokens";
    needs.push({ ...descriptor, reason, need });
  }
  return needs;
}

function declaredBy(backend: OidcCredentialsBackend, origin: string): BackendPermission[] {
  let declared: unknown;
  try {
    declared = backend.requiredPermissions?.() ?? [];
  } catch {
    // Its own words may be anything: it is told apart no further.
  }
  if (!Array.isArray(declared)) checkDescriptor(undefined, origin);
  return declared as BackendPermission[];
}

/** Deno itself refuses a host or a kind that is none. */
function assertKnownToDeno(descriptor: Deno.PermissionDescriptor, origin: string): void {
  try {
    Deno.permissions.querySync(descriptor);
  } catch {
    checkDescriptor({ name: descriptor.name, [SCOPES[descriptor.name]]: null }, origin);
  }
}

/** The program, and its first arguments, on this system. */
export function browserLauncher(): readonly [command: string, ...before: string[]] {
  return LAUNCHERS[Deno.build.os] ?? ["xdg-open"];
}
