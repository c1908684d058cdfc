import {
  getEnv,
  HOME_VARIABLE,
  isDeno,
  isEnvGranted,
  netHost,
  readEnvIfGranted,
} from "../../backends/common/platform.ts";
import { readBackendChoice } from "../../backends/load/backend_setting.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import {
  getDefaultBackend,
  resolveCredentialsBackend,
} from "../../backends/resolve_credentials_backend.ts";
import type { InitOptions, SessionOptions } from "../session_options.ts";
import type { PermissionNeed, RequiredPermissionsOptions } from "../permission_need.ts";
import { listenNeeds, resolveRedirect } from "../options/browser_options.ts";
import type { Identity } from "../options/identity.ts";
import {
  CLIENT_AUTH_VARIABLES,
  clientAuthFromEnv,
  clientAuthOf,
} from "../options/resolve_identity.ts";
import { browserLauncher, browserVariables } from "./browser_launcher.ts";
import {
  apiNeeds,
  backendNeeds,
  isByKey,
  issuerNeeds,
  openNeeds,
  PLACES,
  selectionNeeds,
  variableNeeds,
} from "./preflight.ts";
import {
  checkCallOptions,
  checkSessionOptions,
  type ResolvedOptions,
  resolveInitOptions,
  resolveOptions,
  withoutPlaceholder,
} from "../options/resolve_options.ts";

const ACTION = "name the permissions";

const ABOUT_TYPES = {
  call: ["init", "createSession", "clear"],
  discover: "boolean",
  revoke: "boolean",
} as const;

/**
 * The work of `requiredPermissions`.
 *
 * @param discover Asks the provider for the hosts of its endpoints.
 */
export async function collectPermissions(
  options: InitOptions,
  about: RequiredPermissionsOptions,
  discover: (resolved: ResolvedOptions) => Promise<PermissionNeed[]>,
): Promise<PermissionNeed[]> {
  checkCallOptions(ACTION, about, ABOUT_TYPES);
  const { call = "init" } = about;
  checkSessionOptions(options, ACTION, call !== "createSession");
  const resolved = call === "init"
    ? resolveInitOptions(options, "sign in to ValidMind")
    : resolveOptions(options, "create the session");
  const needs = [
    ...envNeeds(withoutPlaceholder(options), call),
    ...(call === "clear" ? [] : [...hostAndFileNeeds(resolved), ...browserNeeds(options)]),
    ...(about.discover ? await discover(resolved) : []),
  ];
  if (resolved.identity.kind === "api_key") return needs;
  const isGiven = options.credentialsBackend !== undefined || getDefaultBackend() !== undefined;
  const ofChoice = isGiven ? [] : selectionNeeds();
  const backend = await resolveCredentialsBackend(options.credentialsBackend);
  if (call === "clear" && about.revoke) {
    needs.push(...secretNeeds(options), ...fileNeeds(resolved.identity).map(asAlways));
  }
  const ofBackend = call === "clear"
    ? clearNeeds(backend, about.revoke ? [resolved.identity.issuer] : [])
    : backendNeeds(backend);
  return uniqueNeeds([...needs, ...ofChoice, ...ofBackend]);
}

/** The variables of absent options, and whether a start requires each. */
export function envNeeds(
  options: InitOptions,
  call: "init" | "createSession" | "clear",
): PermissionNeed[] {
  const needs = [...variableNeeds(options, call === "init"), ...identityNeeds(options, call)];
  if (call === "clear") return needs;
  const host = options.apiUrl ?? options.apiHost;
  return [
    ...needs,
    ...openNeeds("optional", "to find the API", { VM_API_URL: host, VM_API_HOST: host }),
    ...openNeeds("optional", "to know how long to wait", { VM_API_TIMEOUT: options.timeoutMs }),
  ];
}

/** The optional variables that say who signs in, and how. */
function identityNeeds(
  options: InitOptions,
  call: "init" | "createSession" | "clear",
): PermissionNeed[] {
  const { issuer, clientId, apiKey, apiSecret, scope, audience, profile } = options;
  const { flow, interactive } = options;
  const who = "to know who signs in";
  if (isByKey(options)) {
    if (apiKey !== undefined || apiSecret !== undefined) return [];
    return openNeeds("optional", who, { VM_OIDC_ISSUER: issuer, VM_OIDC_CLIENT_ID: clientId });
  }
  const isOpen = issuer === undefined && clientId === undefined;
  return [
    ...(isOpen ? openNeeds("optional", who, { VM_API_KEY: apiKey, VM_API_SECRET: apiSecret }) : []),
    ...openNeeds("optional", "to know what to ask the provider for", {
      VM_OIDC_SCOPE: scope,
      VM_OIDC_AUDIENCE: audience,
    }),
    ...openNeeds("optional", "to know which sign-in is meant", {
      VM_OIDC_PROFILE: profile,
      VM_OIDC_FLOW: flow,
    }),
    ...(call === "clear" ? [] : [
      ...secretNeeds(options),
      ...openNeeds("optional", "to know whether a person may be asked", {
        VM_OIDC_INTERACTIVE: interactive,
      }),
    ]),
  ];
}

/** The variables of the client's secret and files, and the variables that name its client. */
export function secretNeeds(options: InitOptions): PermissionNeed[] {
  if (Object.keys(clientAuthOf(options)).length > 0) return [];
  const variables = [
    ...Object.values(CLIENT_AUTH_VARIABLES),
    "VM_OIDC_ISSUER",
    "VM_OIDC_CLIENT_ID",
  ];
  const reason = "to know the client's secret or file, if any";
  return variables.map((variable) => ({ name: "env", variable, reason, need: "optional" }));
}

/** The hosts of the provider's endpoints beside the issuer's own. */
export function endpointNeeds(issuer: string, hosts: readonly string[]): PermissionNeed[] {
  const own = netHost(new URL(issuer));
  return hosts.filter((host) => host !== own).map((host) => ({
    name: "net",
    host,
    reason: "to use the provider's endpoints",
    need: "sign_in",
  }));
}

/** The hosts that are known without asking the provider. */
export function hostNeeds(resolved: ResolvedOptions): PermissionNeed[] {
  return [...apiNeeds(resolved), ...issuerNeeds(resolved)];
}

/** The permissions of a sign-in beside those for variables and the backend. */
export function hostAndFileNeeds(resolved: ResolvedOptions): PermissionNeed[] {
  return [...hostNeeds(resolved), ...fileNeeds(resolved.identity)];
}

/** The files by which the client proves who it is, which a start from a stored token does not read. */
export function fileNeeds(identity: Identity): PermissionNeed[] {
  if (identity.kind !== "oidc") return [];
  const { clientKeyFile, clientAssertionFile } = clientAuthFromEnv(identity);
  const files = [[clientKeyFile, "key"], [clientAssertionFile, "assertion"]] as const;
  return files.flatMap(([path, kind]): PermissionNeed[] =>
    path === undefined
      ? []
      : [{ name: "read", path, reason: `to read the client's ${kind}`, need: "sign_in" }]
  );
}

/**
 * The needs of a sign-in in the browser: the place to listen at; and the program that opens the page, with
 * the variables that it hands on. Without the program's grant the prompt shows the link alone. Deno itself
 * grants no program that is not installed.
 */
export function browserNeeds(options: SessionOptions): PermissionNeed[] {
  if (!isDeno) return [];
  const isFlow = isBrowserFlow(options);
  const { openBrowser = isFlow && options.onAuthorizationUrl === undefined } = options;
  return [...(isFlow ? redirectNeeds(options) : []), ...(openBrowser ? launcherNeeds() : [])];
}

/** Whether the browser is the flow of choice. `auto` needs its permissions only where it comes to it. */
function isBrowserFlow({ flow }: SessionOptions): boolean {
  return (flow ?? readEnvIfGranted("VM_OIDC_FLOW")?.trim()) === "browser";
}

/** The place to listen at, and the variables that say so. */
function redirectNeeds(options: SessionOptions): PermissionNeed[] {
  const issuer = options.issuer ?? readEnvIfGranted("VM_OIDC_ISSUER") ?? "";
  return [
    ...openNeeds("optional", "to know where the browser comes back to", {
      VM_OIDC_REDIRECT_URI: options.redirectUri,
      VM_OIDC_LISTEN: options.listen,
      JUPYTERHUB_PUBLIC_HUB_URL: options.redirectUri,
      JUPYTERHUB_SERVICE_PREFIX: options.onAuthorizationUrl,
    }),
    ...openNeeds("optional", "to know whether the browser is on this computer", {
      SSH_CONNECTION: options.openBrowser ?? options.onAuthorizationUrl,
      SSH_TTY: options.openBrowser ?? options.onAuthorizationUrl,
    }),
    ...listenNeeds(resolveRedirect(options, issuer, ACTION)),
  ];
}

function launcherNeeds(): PermissionNeed[] {
  const [command] = browserLauncher();
  const when = { reason: "to open the browser at sign-in", need: "optional" } as const;
  return [
    { name: "run", command, ...when },
    ...browserVariables().map((variable) => ({ name: "env", variable, ...when } as const)),
  ];
}

/**
 * The needs that are known while variables may not be read, for the first error of a start: all
 * variables, and a named place for each host and folder that they would tell.
 */
export function knownAtFirst(
  options: InitOptions,
  call: "init" | "createSession",
): PermissionNeed[] {
  const apiHost = options.apiUrl ?? options.apiHost;
  const variables = envNeeds(options, call).map(asAlways);
  const needs = isByKey(options) ? variables : [...variables, ...signInNeeds(options)];
  if (call === "init" || apiHost !== undefined) {
    needs.push(hostOf(apiHost, PLACES.api, "to call the API"));
  }
  return uniqueNeeds(needs);
}

function signInNeeds({ issuer, credentialsBackend }: InitOptions): PermissionNeed[] {
  const backend = credentialsBackend ?? getDefaultBackend();
  return [
    hostOf(issuer, PLACES.provider, "to sign in at the provider"),
    ...(backend ? backendNeeds(backend) : [...selectionNeeds(), ...DEFAULT_STORE]),
  ].map(asAlways);
}

/** The default store, as a shell finds it. */
const DEFAULT_STORE: readonly PermissionNeed[] = [
  ...openNeeds("always", "to find the stored tokens", { [HOME_VARIABLE]: undefined }),
  { name: "read", path: PLACES.folder, reason: "to keep the tokens", need: "always" },
  { name: "write", path: PLACES.folder, reason: "to keep the tokens", need: "always" },
];

/**
 * Further needs of a first sign-in, for the error about the variables that choose the store: the default
 * store while another choice cannot be read, the client's files, and the place to listen at.
 */
export function laterNeeds(options: SessionOptions, identity: Identity): PermissionNeed[] {
  const read = (variable: string) => isEnvGranted(variable) ? getEnv(variable) : null;
  const isDefault = readBackendChoice(read).by === undefined;
  const isBrowser = identity.kind === "oidc" && isBrowserFlow(options);
  return [
    ...(isDefault ? DEFAULT_STORE : []),
    ...fileNeeds(identity),
    ...(isBrowser ? listenNeeds(resolveRedirect(options, identity.issuer, ACTION)) : []),
  ];
}

export function asAlways(need: PermissionNeed): PermissionNeed {
  return { ...need, need: "always" };
}

function hostOf(url: string | undefined, place: string, reason: string): PermissionNeed {
  const host = url !== undefined && URL.canParse(url) ? netHost(new URL(url)) : place;
  return { name: "net", host, reason, need: "always" };
}

/** The needs of a session: those that its start checked, and the optional variables. */
export function sessionNeeds(
  checked: readonly PermissionNeed[],
  options: InitOptions,
  identity: Identity,
  call: "init" | "createSession",
): PermissionNeed[] {
  const variables = envNeeds(withoutPlaceholder(options), call);
  return uniqueNeeds([...checked, ...variables, ...fileNeeds(identity), ...browserNeeds(options)]);
}

/** One need for each permission, the strongest, since parts of a call may share permissions. */
export function uniqueNeeds(needs: readonly PermissionNeed[]): PermissionNeed[] {
  const seen = new Map<string, PermissionNeed>();
  for (const need of needs) {
    const { reason: _, need: when, ...descriptor } = need;
    const key = JSON.stringify(descriptor);
    const earlier = seen.get(key);
    if (earlier === undefined || rank(when) < rank(earlier.need)) seen.set(key, need);
  }
  return [...seen.values()];
}

function rank(when: PermissionNeed["need"]): number {
  return ["always", "sign_in", "optional"].indexOf(when);
}

/**
 * The needs of signing out: all permissions that the backend declares, since an entry is removed, and
 * to revoke the issuers' hosts.
 */
export function clearNeeds(
  backend: OidcCredentialsBackend,
  issuersToAsk: readonly string[],
): PermissionNeed[] {
  return [
    ...backendNeeds(backend).map((need): PermissionNeed => ({
      ...need,
      reason: "to remove the stored tokens",
      need: "always",
    })),
    ...issuersToAsk.map((issuer): PermissionNeed => ({
      name: "net",
      host: netHost(new URL(issuer)),
      reason: "to have the tokens revoked",
      need: "always",
    })),
  ];
}
