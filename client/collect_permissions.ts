import { netHost } from "../backends/hosts.ts";
import type { OidcCredentialsBackend } from "../backends/oidc_credentials_backend.ts";
import {
  getDefaultBackend,
  resolveCredentialsBackend,
} from "../backends/resolve_credentials_backend.ts";
import { ValidMindAuthError } from "./errors.ts";
import type { InitOptions } from "./init_options.ts";
import type { PermissionNeed } from "./permission_need.ts";
import {
  backendNeeds,
  browserNeeds,
  envNeeds,
  hostNeeds,
  secretNeeds,
  selectionNeeds,
} from "./preflight.ts";
import type { RequiredPermissionsOptions } from "./required_permissions.ts";
import {
  checkCallOptions,
  checkOptionNames,
  checkOptionTypes,
  type ResolvedOptions,
  resolveInitOptions,
  resolveOptions,
  withoutPlaceholder,
} from "./resolve_options.ts";

const ABOUT_TYPES = { call: "string", discover: "boolean", revoke: "boolean" };

/** See `requiredPermissions`, behind which this is loaded when somebody asks. */
export async function collectPermissions(
  options: InitOptions,
  about: RequiredPermissionsOptions,
): Promise<PermissionNeed[]> {
  const { call = "init", discover = false } = about;
  checkAbout(about);
  checkOptionNames(options, call !== "createSession");
  checkOptionTypes(options, "name the permissions");
  const resolved = call === "init"
    ? resolveInitOptions(options, "sign in to ValidMind")
    : resolveOptions(options, "create the session");
  const needs = [
    ...envNeeds(withoutPlaceholder(options), call),
    ...(call === "clear" ? [] : [...hostNeeds(resolved), ...browserNeeds(options)]),
    ...(discover ? await discoveredNeeds(resolved) : []),
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

function checkAbout(about: RequiredPermissionsOptions): void {
  const action = "name the permissions";
  checkCallOptions(action, about, ABOUT_TYPES);
  const { call = "init" } = about;
  if (["init", "createSession", "clear"].includes(call)) return;
  throw new ValidMindAuthError(
    "invalid_options",
    `Cannot ${action}: option "call" is ${JSON.stringify(call)}. Give "init", "createSession" or ` +
      `"clear".`,
  );
}

/** The provider's hosts beside the issuer's own, as it names them itself. */
export async function discoveredNeeds(
  { identity, runtime }: ResolvedOptions,
): Promise<PermissionNeed[]> {
  if (identity.kind !== "oidc") return [];
  const { OidcProvider } = await import("./oidc_provider.ts");
  const hosts = await new OidcProvider(identity, runtime).endpointHosts();
  return hosts.filter((host) => host !== netHost(new URL(identity.issuer))).map((host) => ({
    name: "net",
    host,
    reason: "to use the provider's endpoints",
    need: "sign_in",
  }));
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
