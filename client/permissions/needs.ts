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
import { normalizeClientId, normalizeIssuer } from "../entry.ts";
import type { PermissionNeed, RequiredPermissionsOptions } from "../permission_need.ts";
import { listenNeeds, resolveRedirect } from "../options/browser_options.ts";
import {
  OPTION_NAMES,
  type OptionName,
  optionRow,
  OPTIONS,
  valueOf,
} from "../options/declaration.ts";
import type { Identity } from "../options/identity.ts";
import {
  CLIENT_AUTH,
  CLIENT_AUTH_VARIABLES,
  clientAuthFromEnv,
  clientAuthOf,
} from "../options/resolve_identity.ts";
import {
  checkCallOptions,
  checkSessionOptions,
  DEFAULT_API_HOST,
  findApiHost,
  type ResolvedOptions,
  resolveInitOptions,
  resolveOptions,
  withoutPlaceholder,
} from "../options/resolve_options.ts";
import { browserLauncher, browserVariables } from "./browser_launcher.ts";
import { apiNeeds, backendNeeds, openNeeds, PLACES, selectionNeeds } from "./preflight.ts";

const ACTION = "name the permissions";

/** A call whose permissions can be named. */
export type Call = "init" | "createSession" | "clear";

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
  const { call = "init", revoke = false } = about;
  checkSessionOptions(options, ACTION, call !== "createSession");
  const resolved = call === "init"
    ? resolveInitOptions(options, "sign in to ValidMind")
    : resolveOptions(options, "sign in");
  const { identity } = resolved;
  const backend = identity.kind === "oidc"
    ? await resolveCredentialsBackend(options.credentialsBackend)
    : undefined;
  const discovered = about.discover ? await discover(resolved) : [];
  if (call !== "clear") {
    const needs = [...startNeeds(options, call, backend), ...browserNeeds(options)];
    return uniqueNeeds([...needs, ...discovered]);
  }
  if (identity.kind === "api_key" || backend === undefined) return envNeeds(options, call);
  return uniqueNeeds([
    ...envNeeds(options, call),
    ...discovered,
    ...(revoke ? [...secretNeeds(options), ...fileNeeds(identity).map(asAlways)] : []),
    ...choiceNeeds(options),
    ...clearNeeds(backend, revoke ? [identity.issuer] : []),
  ]);
}

/**
 * All that a start and a refresh need, as far as options and readable variables tell. A place stands
 * for a host or a folder that they do not tell.
 *
 * @param backend The store, once it is chosen.
 */
export function startNeeds(
  options: InitOptions,
  call: Exclude<Call, "clear">,
  backend: OidcCredentialsBackend | undefined = options.credentialsBackend ?? getDefaultBackend(),
): PermissionNeed[] {
  const given = withoutPlaceholder(options);
  const read = (name: "issuer" | "clientId") => valueOf(name, given, ACTION);
  const isNative = (options.fetch ?? globalThis.fetch) === globalThis.fetch;
  const needs = envNeeds(given, call);
  const api = findApiHost(given, ACTION) ??
    (call === "init" && isEnvGranted(OPTIONS.apiHost.variable) ? DEFAULT_API_HOST : undefined);
  if (isNative && (api !== undefined || call === "init")) {
    needs.push({ ...hostOf(api, PLACES.api), reason: "to call the API", need: "always" });
  }
  if (isByKey(given)) return needs;
  const [issuer, clientId] = [normalizeIssuer(read("issuer") ?? ""), read("clientId") ?? ""];
  if (isNative) needs.push(issuerNeed(hostOf(issuer, PLACES.provider)));
  const client = { ...clientAuthOf(given), issuer, clientId: normalizeClientId(clientId) };
  return uniqueNeeds([
    ...needs,
    ...filesOf(client),
    ...choiceNeeds(given),
    ...(backend === undefined ? defaultStoreNeeds() : backendNeeds(backend)),
  ]);
}

function hostOf(url: string | undefined, place: string): { name: "net"; host: string } {
  const parsed = URL.parse(url ?? "");
  return { name: "net", host: parsed === null ? place : netHost(parsed) };
}

function issuerNeed(host: { name: "net"; host: string }): PermissionNeed {
  return { ...host, reason: "to sign in at the provider", need: "sign_in" };
}

/** The variables by which the environment chooses the store, where it may. */
function choiceNeeds({ credentialsBackend }: SessionOptions): PermissionNeed[] {
  return (credentialsBackend ?? getDefaultBackend()) === undefined ? selectionNeeds() : [];
}

/** The default store, as a shell finds it, unless a variable names another one. */
function defaultStoreNeeds(): PermissionNeed[] {
  const read = (variable: string) => isEnvGranted(variable) ? getEnv(variable) : null;
  if (readBackendChoice(read).by !== undefined) return [];
  const folder = { path: PLACES.folder, reason: "to keep the tokens", need: "always" } as const;
  return [
    ...openNeeds("always", "to find the stored tokens", { [HOME_VARIABLE]: undefined }),
    { name: "read", ...folder },
    { name: "write", ...folder },
  ];
}

/** Whether an API key signs in, as far as options and readable variables tell. */
export function isByKey({ issuer, clientId, apiKey, apiSecret }: InitOptions): boolean {
  if (apiKey !== undefined || apiSecret !== undefined) return true;
  return issuer === undefined && clientId === undefined &&
    readEnvIfGranted(OPTIONS.issuer.variable) === undefined &&
    readEnvIfGranted(OPTIONS.apiKey.variable) !== undefined;
}

/** The variables of absent options, and whether a start requires each: those that it does come first. */
export function envNeeds(options: InitOptions, call: Call): PermissionNeed[] {
  const isKey = isByKey(options);
  const needs = OPTION_NAMES.flatMap((name): PermissionNeed[] => {
    const { variable, reason = "" } = optionRow(name);
    const need = variable && needOfVariable(name, options, call, isKey);
    return need ? [{ name: "env", variable, reason, need }] : [];
  });
  const secrets = isKey || call === "clear" ? [] : secretNeeds(options);
  const isRequired = (need: PermissionNeed) => need.need === "always";
  return uniqueNeeds([
    ...needs.filter(isRequired),
    ...needs.filter((need) => !isRequired(need)),
    ...secrets,
  ]);
}

/** When the variable of an option is read; `undefined` where it is not. */
function needOfVariable(
  name: OptionName,
  options: InitOptions,
  call: Call,
  isKey: boolean,
): PermissionNeed["need"] | undefined {
  const { group, requiredBy } = optionRow(name);
  const isGiven = options[name] !== undefined ||
    name === "apiHost" && options.apiUrl !== undefined ||
    name === "apiUrl" && options.apiHost !== undefined;
  if (isGiven || group === "client" || group === "browser") return undefined;
  const need = requiredBy === "every call" || requiredBy === call ? "always" : "optional";
  if (group === "model") return call === "init" ? need : undefined;
  if (group === "api") return call === "clear" ? undefined : need;
  if (group === "person" && call === "clear") return undefined;
  if ((group === "api_key") === isKey) return need;
  // To see that there are not credentials of both kinds.
  const { issuer, clientId, apiKey, apiSecret } = options;
  const isOpen = (isKey ? apiKey ?? apiSecret : issuer ?? clientId) === undefined;
  return requiredBy === "every call" && isOpen ? "optional" : undefined;
}

/** The variables of the client's secret and files, and the variables that name its client. */
export function secretNeeds(options: InitOptions): PermissionNeed[] {
  if (Object.keys(clientAuthOf(options)).length > 0) return [];
  const { reason } = OPTIONS[CLIENT_AUTH[0]];
  const variables = [
    ...Object.values(CLIENT_AUTH_VARIABLES),
    OPTIONS.issuer.variable,
    OPTIONS.clientId.variable,
  ];
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

/** The hosts and files of a sign-in. */
export function hostAndFileNeeds(resolved: ResolvedOptions): PermissionNeed[] {
  const { identity, runtime } = resolved;
  if (identity.kind !== "oidc") return apiNeeds(resolved);
  const isNative = runtime.fetch === globalThis.fetch;
  const provider = isNative ? [issuerNeed(hostOf(identity.issuer, ""))] : [];
  return [...apiNeeds(resolved), ...provider, ...fileNeeds(identity)];
}

/** The files by which the client proves who it is, which a start from a stored token does not read. */
export function fileNeeds(identity: Identity): PermissionNeed[] {
  return identity.kind === "oidc" ? filesOf(identity) : [];
}

function filesOf(client: Parameters<typeof clientAuthFromEnv>[0]): PermissionNeed[] {
  const { clientKeyFile, clientAssertionFile } = clientAuthFromEnv(client);
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
  // `auto` needs its permissions only where it comes to the browser.
  const isFlow = valueOf("flow", options, ACTION) === "browser";
  const { openBrowser = isFlow && options.onAuthorizationUrl === undefined } = options;
  if (!isDeno) return [];
  return [...(isFlow ? redirectNeeds(options) : []), ...(openBrowser ? launcherNeeds() : [])];
}

/** The place to listen at, and the variables that say so. */
function redirectNeeds(options: SessionOptions): PermissionNeed[] {
  const { redirectUri, listen, openBrowser, onAuthorizationUrl } = options;
  const issuer = normalizeIssuer(valueOf("issuer", options, ACTION) ?? "");
  return [
    ...openNeeds("optional", OPTIONS.redirectUri.reason, {
      [OPTIONS.redirectUri.variable]: redirectUri,
      [OPTIONS.listen.variable]: listen,
      JUPYTERHUB_PUBLIC_HUB_URL: redirectUri,
      JUPYTERHUB_SERVICE_PREFIX: onAuthorizationUrl,
    }),
    ...openNeeds("optional", "to know whether the browser is on this computer", {
      SSH_CONNECTION: openBrowser ?? onAuthorizationUrl,
      SSH_TTY: openBrowser ?? onAuthorizationUrl,
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

export function asAlways(need: PermissionNeed): PermissionNeed {
  return { ...need, need: "always" };
}

/** One need for each permission, the strongest, since parts of a call may share permissions. */
export function uniqueNeeds(needs: readonly PermissionNeed[]): PermissionNeed[] {
  const seen = new Map<string, PermissionNeed>();
  const rank = ({ need }: PermissionNeed) => ["always", "sign_in", "optional"].indexOf(need);
  for (const need of needs) {
    const { reason: _, need: _1, ...descriptor } = need;
    const key = JSON.stringify(descriptor);
    const earlier = seen.get(key);
    if (earlier === undefined || rank(need) < rank(earlier)) seen.set(key, need);
  }
  return [...seen.values()];
}

/**
 * The needs of signing out: all permissions that the backend declares, since an entry is removed, and
 * to revoke the issuers' hosts.
 */
export function clearNeeds(
  backend: OidcCredentialsBackend,
  issuersToAsk: readonly string[],
): PermissionNeed[] {
  const toRemove = { reason: "to remove the stored tokens", need: "always" } as const;
  const toRevoke = { reason: "to have the tokens revoked", need: "always" } as const;
  return [
    ...backendNeeds(backend).map((need): PermissionNeed => ({ ...need, ...toRemove })),
    ...issuersToAsk.map((issuer): PermissionNeed => ({ ...hostOf(issuer, ""), ...toRevoke })),
  ];
}
