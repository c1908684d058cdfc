import { netHost } from "../../backends/common/hosts.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import {
  getDefaultBackend,
  resolveCredentialsBackend,
} from "../../backends/resolve_credentials_backend.ts";
import type { InitOptions, SessionOptions } from "../session_options.ts";
import type { PermissionNeed, RequiredPermissionsOptions } from "../permission_need.ts";
import {
  addOpen,
  apiNeeds,
  backendNeeds,
  browserLauncher,
  isByKey,
  issuerNeeds,
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
  const { call = "init" } = about;
  checkCallOptions(ACTION, about, ABOUT_TYPES);
  checkSessionOptions(options, ACTION, call !== "createSession");
  const resolved = call === "init"
    ? resolveInitOptions(options, "sign in to ValidMind")
    : resolveOptions(options, "create the session");
  const needs = [
    ...envNeeds(withoutPlaceholder(options), call),
    ...(call === "clear" ? [] : [...hostNeeds(resolved), ...browserNeeds(options)]),
    ...(about.discover ? await discover(resolved) : []),
  ];
  if (resolved.identity.kind === "api_key") return needs;
  const isGiven = options.credentialsBackend !== undefined || getDefaultBackend() !== undefined;
  const { credentialsBackend, isolate } = options;
  const loading = isolate === undefined ? {} : { isolate };
  const backend = await resolveCredentialsBackend(credentialsBackend, loading);
  if (call === "clear" && about.revoke) needs.push(...secretNeeds(options));
  const ofBackend = call === "clear"
    ? clearNeeds(backend, about.revoke ? [resolved.identity.issuer] : [])
    : backendNeeds(backend);
  return uniqueNeeds([...needs, ...(isGiven ? [] : selectionNeeds()), ...ofBackend]);
}

/** The variables that the options leave open, and whether a start can do without each. */
export function envNeeds(
  options: InitOptions,
  call: "init" | "createSession" | "clear",
): PermissionNeed[] {
  const needs = variableNeeds(options, call === "init");
  addIdentityOptions(needs, options, call !== "clear");
  if (call === "clear") return needs;
  const host = options.apiUrl ?? options.apiHost;
  addOpen(needs, "optional", "to find the API", { VM_API_URL: host, VM_API_HOST: host });
  addOpen(needs, "optional", "to know how long to wait", { VM_API_TIMEOUT: options.timeoutMs });
  return needs;
}

/** What else tells who signs in, and how. */
function addIdentityOptions(
  needs: PermissionNeed[],
  options: InitOptions,
  isSignIn: boolean,
): void {
  const { issuer, clientId, apiKey, apiSecret } = options;
  const oidc = { VM_OIDC_ISSUER: issuer, VM_OIDC_CLIENT_ID: clientId };
  const key = { VM_API_KEY: apiKey, VM_API_SECRET: apiSecret };
  const who = "to know who signs in";
  if (isByKey(options)) {
    if (apiKey === undefined && apiSecret === undefined) addOpen(needs, "optional", who, oidc);
    return;
  }
  if (issuer === undefined && clientId === undefined) addOpen(needs, "optional", who, key);
  addOpen(needs, "optional", "to know what to ask the provider for", {
    VM_OIDC_SCOPE: options.scope,
    VM_OIDC_AUDIENCE: options.audience,
  });
  const profile = { VM_OIDC_PROFILE: options.profile };
  addOpen(needs, "optional", "to know which sign-in is meant", profile);
  if (!isSignIn) return;
  needs.push(...secretNeeds(options));
  const interactive = { VM_OIDC_INTERACTIVE: options.interactive };
  addOpen(needs, "optional", "to know whether a person may be asked", interactive);
}

/** The secret's variable, and those that say whose it is: for all that asks the provider. */
export function secretNeeds({ clientSecret }: InitOptions): PermissionNeed[] {
  const needs: PermissionNeed[] = [];
  addOpen(needs, "optional", "to know the client's secret, if any", {
    VM_OIDC_CLIENT_SECRET: clientSecret,
    VM_OIDC_ISSUER: clientSecret,
    VM_OIDC_CLIENT_ID: clientSecret,
  });
  return needs;
}

/** The hosts that are known without asking anybody. */
export function hostNeeds(resolved: ResolvedOptions): PermissionNeed[] {
  return [...apiNeeds(resolved), ...issuerNeeds(resolved)];
}

/**
 * What `openBrowser` needs. Not missed where it is not granted: the prompt says so, and has the link.
 * Deno itself does not grant a program that is not installed.
 */
function browserNeeds({ openBrowser }: SessionOptions): PermissionNeed[] {
  if (openBrowser !== true) return [];
  const [command] = browserLauncher();
  return [{ name: "run", command, reason: "to open the browser at sign-in", need: "optional" }];
}

/** What a session needed, from what its start made sure of and the options that it may have read. */
export function sessionNeeds(
  ensured: readonly PermissionNeed[],
  options: InitOptions,
  call: "init" | "createSession",
): PermissionNeed[] {
  const variables = envNeeds(withoutPlaceholder(options), call);
  return uniqueNeeds([...ensured, ...variables, ...browserNeeds(options)]);
}

/** One need for each permission, the strongest: several parts of a call may need the same. */
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

function rank(need: PermissionNeed["need"]): number {
  return ["always", "sign_in", "optional"].indexOf(need);
}

/**
 * What signing out needs: all that the backend declares, since something is removed, and to revoke
 * the issuers' hosts.
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
