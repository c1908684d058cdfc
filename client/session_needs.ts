import { HOME_VARIABLE } from "../backends/credentials_path.ts";
import { netHost } from "../backends/hosts.ts";
import type {
  BackendPermission,
  OidcCredentialsBackend,
} from "../backends/oidc_credentials_backend.ts";
import { isEnvGranted, parseFlag, readEnvIfGranted } from "../backends/read_env.ts";
import { checkDescriptor, SCOPES } from "./format_permissions.ts";
import type { InitOptions, SessionOptions } from "./init_options.ts";
import type { PermissionNeed } from "./permission_need.ts";
import type { ResolvedOptions } from "./resolve_options.ts";

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
  if (call === "clear") {
    return identityNeeds(options).filter(({ reason }) => reason !== TO_ASK && reason !== TO_PROVE);
  }
  return [
    ...identityNeeds(options),
    ...need("optional", "to find the API", {
      VM_API_URL: options.apiUrl ?? options.apiHost,
      VM_API_HOST: options.apiUrl ?? options.apiHost,
    }),
    ...need("optional", "to know how long to wait", { VM_API_TIMEOUT: options.timeoutMs }),
    ...(call === "init"
      ? need("always", "to know the model", { VM_API_MODEL: options.model })
      : []),
  ];
}

function identityNeeds(options: InitOptions): PermissionNeed[] {
  const { issuer, clientId, apiKey, apiSecret } = options;
  const oidc = { VM_OIDC_ISSUER: issuer, VM_OIDC_CLIENT_ID: clientId };
  const key = { VM_API_KEY: apiKey, VM_API_SECRET: apiSecret };
  const reason = "to know who signs in";
  if (apiKey !== undefined || apiSecret !== undefined) return need("always", reason, key);
  const isChosen = issuer !== undefined || clientId !== undefined;
  const isByKey = !isChosen && readEnvIfGranted("VM_OIDC_ISSUER") === undefined &&
    readEnvIfGranted("VM_API_KEY") !== undefined;
  if (isByKey) return [...need("always", reason, key), ...need("optional", reason, oidc)];
  return [
    ...need("always", reason, oidc),
    ...(isChosen ? [] : need("optional", reason, key)),
    ...need("optional", "to know what to ask the provider for", {
      VM_OIDC_SCOPE: options.scope,
      VM_OIDC_AUDIENCE: options.audience,
    }),
    ...need("optional", "to know which sign-in is meant", {
      VM_OIDC_PROFILE: options.profile,
    }),
    ...secretNeeds(options),
    ...need("optional", TO_ASK, {
      VM_OIDC_INTERACTIVE: options.interactive,
    }),
  ];
}

/** The secret's variable, and those that say whose it is: for all that asks the provider. */
export function secretNeeds({ clientSecret }: InitOptions): PermissionNeed[] {
  return need("optional", TO_PROVE, {
    VM_OIDC_CLIENT_SECRET: clientSecret,
    VM_OIDC_ISSUER: clientSecret,
    VM_OIDC_CLIENT_ID: clientSecret,
  });
}

/** One need for each variable whose option is not given. */
function need(
  when: PermissionNeed["need"],
  reason: string,
  variables: Record<string, unknown>,
): PermissionNeed[] {
  return Object.entries(variables)
    .filter(([, given]) => given === undefined)
    .map(([variable]) => ({ name: "env", variable, reason, need: when }));
}

/**
 * The hosts that are known without asking anybody. None with a `fetch` of the caller's own, which
 * may need no network, or another permission for it.
 */
export function hostNeeds({ identity, apiHost, runtime }: ResolvedOptions): PermissionNeed[] {
  if (runtime.fetch !== globalThis.fetch) return [];
  const needs: PermissionNeed[] = [];
  const add = (url: string, reason: string, need: PermissionNeed["need"]) =>
    needs.push({ name: "net", host: netHost(new URL(url)), reason, need });
  if (apiHost !== undefined) add(apiHost, "to call the API", "always");
  if (identity.kind === "oidc") add(identity.issuer, "to sign in at the provider", "sign_in");
  return needs;
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
  const declared = declaredBy(backend, origin);
  if (!Array.isArray(declared)) checkDescriptor(undefined, origin);
  return declared.map((descriptor): PermissionNeed => {
    checkDescriptor(descriptor, origin);
    const need = descriptor.need === "sign_in" ? "sign_in" : "always";
    const isWrite = need === "sign_in" || descriptor.name === "write";
    assertKnownToDeno(descriptor, origin);
    const reason = isWrite ? "to keep the tokens" : "to find the stored tokens";
    return { ...descriptor, reason, need };
  });
}

function declaredBy(backend: OidcCredentialsBackend, origin: string): BackendPermission[] {
  try {
    return backend.requiredPermissions?.() ?? [];
  } catch {
    return checkDescriptor(undefined, origin) as never; // its own words may be anything
  }
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
