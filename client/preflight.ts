import { HOME_VARIABLE } from "../backends/credentials_path.ts";
import { netHost } from "../backends/hosts.ts";
import type {
  BackendPermission,
  OidcCredentialsBackend,
} from "../backends/oidc_credentials_backend.ts";
import { isEnvGranted, parseFlag, readEnvIfGranted } from "../backends/read_env.ts";
import { checkDescriptor, SCOPES } from "./required_permissions.ts";
import type { InitOptions, SessionOptions } from "./init_options.ts";
import type { PermissionNeed } from "./permission_need.ts";
import type { ResolvedOptions } from "./resolve_options.ts";

/**
 * Makes sure of permissions before any work. In a terminal where Deno may ask, the person is asked
 * for each that is missing, with its reason; else a missing one is an error that names all flags.
 *
 * @param action What cannot be done without them, as in "Cannot {action}".
 * @param needs What the call needs, as far as it is known.
 * @param now Which of them are needed now.
 * @param later What else the whole call needs, for the error.
 * @throws {ValidMindAuthError} `permission_required`.
 */
export async function preflight(
  action: string,
  needs: readonly PermissionNeed[],
  now: PermissionNeed["need"],
  later: () => readonly PermissionNeed[] = () => [],
): Promise<void> {
  const missing = needs.filter((need) => need.need === now && !isGranted(need));
  if (missing.length === 0) return;
  const { askPermissions, permissionRequired } = await import("./change_permissions.ts");
  if (canAsk()) await askPermissions(action, missing);
  const denied = missing.filter((need) => !isGranted(need));
  if (denied.length > 0) throw permissionRequired(action, denied, [...needs, ...later()]);
}

function isGranted(need: PermissionNeed): boolean {
  return Deno.permissions.querySync(need).state === "granted";
}

/** Deno asks on a terminal only; without one it would deny, after a line for nobody. */
function canAsk(): boolean {
  return Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
}

const TO_ASK = "to know whether a person may be asked";
const TO_PROVE = "to know the client's secret, if any";
const NO_PERSIST = "VM_OIDC_NO_PERSIST";
const BACKEND = "VM_OIDC_CREDENTIALS_BACKEND";

/** The program that opens a page in the person's browser, and what it takes before the page. */
const LAUNCHERS: Partial<Record<typeof Deno.build.os, readonly [string, ...string[]]>> = {
  darwin: ["open"],
  windows: ["rundll32", "url.dll,FileProtocolHandler"],
};

/** The variables that the options leave open, and whether a start can do without each. */
export function envNeeds(
  options: InitOptions,
  call: "init" | "createSession" | "clear",
): PermissionNeed[] {
  const needs = identityNeeds(options);
  if (call === "clear") {
    return needs.filter(({ reason }) => reason !== TO_ASK && reason !== TO_PROVE);
  }
  const host = options.apiUrl ?? options.apiHost;
  addOpen(needs, "optional", "to find the API", { VM_API_URL: host, VM_API_HOST: host });
  addOpen(needs, "optional", "to know how long to wait", { VM_API_TIMEOUT: options.timeoutMs });
  if (call === "init") {
    addOpen(needs, "always", "to know the model", { VM_API_MODEL: options.model });
  }
  return needs;
}

function identityNeeds(options: InitOptions): PermissionNeed[] {
  const { issuer, clientId, apiKey, apiSecret } = options;
  const oidc = { VM_OIDC_ISSUER: issuer, VM_OIDC_CLIENT_ID: clientId };
  const key = { VM_API_KEY: apiKey, VM_API_SECRET: apiSecret };
  const reason = "to know who signs in";
  const needs: PermissionNeed[] = [];
  const isChosen = issuer !== undefined || clientId !== undefined;
  const isKeyGiven = apiKey !== undefined || apiSecret !== undefined;
  const isKeySet = !isChosen && readEnvIfGranted("VM_OIDC_ISSUER") === undefined &&
    readEnvIfGranted("VM_API_KEY") !== undefined;
  if (isKeyGiven || isKeySet) {
    addOpen(needs, "always", reason, key);
    if (!isKeyGiven) addOpen(needs, "optional", reason, oidc);
    return needs;
  }
  addOpen(needs, "always", reason, oidc);
  if (!isChosen) addOpen(needs, "optional", reason, key);
  addOpen(needs, "optional", "to know what to ask the provider for", {
    VM_OIDC_SCOPE: options.scope,
    VM_OIDC_AUDIENCE: options.audience,
  });
  addOpen(needs, "optional", "to know which sign-in is meant", {
    VM_OIDC_PROFILE: options.profile,
  });
  needs.push(...secretNeeds(options));
  addOpen(needs, "optional", TO_ASK, { VM_OIDC_INTERACTIVE: options.interactive });
  return needs;
}

/** The secret's variable, and those that say whose it is: for all that asks the provider. */
export function secretNeeds({ clientSecret }: InitOptions): PermissionNeed[] {
  const needs: PermissionNeed[] = [];
  addOpen(needs, "optional", TO_PROVE, {
    VM_OIDC_CLIENT_SECRET: clientSecret,
    VM_OIDC_ISSUER: clientSecret,
    VM_OIDC_CLIENT_ID: clientSecret,
  });
  return needs;
}

/** Adds one need for each variable whose option is not given. */
function addOpen(
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
 * The hosts that are known without asking anybody. None with a `fetch` of the caller's own, which
 * may need no network, or another permission for it.
 */
export function hostNeeds(resolved: ResolvedOptions): PermissionNeed[] {
  return [...apiNeeds(resolved), ...issuerNeeds(resolved)];
}

/** The API's part of them, which every start makes sure of. */
export function apiNeeds({ apiHost, runtime }: ResolvedOptions): PermissionNeed[] {
  if (apiHost === undefined || runtime.fetch !== globalThis.fetch) return [];
  const host = netHost(new URL(apiHost));
  return [{ name: "net", host, reason: "to call the API", need: "always" }];
}

/** The provider's part of them, which a start from a stored token has no use for. */
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
  if (parseFlag(NO_PERSIST, readEnvIfGranted(NO_PERSIST))) return [env(NO_PERSIST)];
  const needs = [env(NO_PERSIST), env(BACKEND)];
  if (readEnvIfGranted(BACKEND) !== undefined) return [...needs, env(`${BACKEND}_KWARGS`)];
  // Without a backend of the host's choice the file is used, and it is in the home folder.
  const isFile = isEnvGranted(NO_PERSIST) && isEnvGranted(BACKEND);
  return isFile ? [...needs, env(HOME_VARIABLE, "to find the stored tokens")] : needs;
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

/**
 * What `openBrowser` needs. Not missed where it is not granted: the prompt says so, and has the link.
 * Deno itself does not grant a program that is not installed.
 */
export function browserNeeds({ openBrowser }: SessionOptions): PermissionNeed[] {
  if (openBrowser !== true) return [];
  const [command] = browserLauncher();
  return [{ name: "run", command, reason: "to open the browser at sign-in", need: "optional" }];
}

/** The program, and its first arguments, on this system. */
export function browserLauncher(): readonly [command: string, ...before: string[]] {
  return LAUNCHERS[Deno.build.os] ?? ["xdg-open"];
}
