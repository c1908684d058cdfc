import { getDefaultBackend } from "../backends/default_backend.ts";
import { netHost } from "../backends/net_host.ts";
import { resolveCredentialsBackend } from "../backends/resolve_credentials_backend.ts";
import { backendNeeds } from "./backend_needs.ts";
import { browserNeeds } from "./browser_needs.ts";
import { checkCallOptions } from "./check_call_options.ts";
import { clearNeeds } from "./clear_needs.ts";
import { checkOptionNames, checkOptionTypes } from "./check_option_types.ts";
import { envNeeds, secretNeeds } from "./env_needs.ts";
import { ValidMindAuthError } from "./errors.ts";
import { hostNeeds } from "./host_needs.ts";
import type { InitOptions } from "./init_options.ts";
import type { PermissionNeed } from "./permission_need.ts";
import {
  type ResolvedOptions,
  resolveInitOptions,
  resolveOptions,
  withoutPlaceholder,
} from "./resolve_options.ts";
import { selectionNeeds } from "./selection_needs.ts";
import { uniqueNeeds } from "./unique_needs.ts";

/** Options of {@linkcode requiredPermissions} beside those of the call itself. */
export interface RequiredPermissionsOptions {
  /**
   * Which call is meant. For `clear`, which is `clearOidcCredentials` of the same credentials, only
   * the options that say whose they are and where they are kept count.
   *
   * @default "init"
   */
  call?: "init" | "createSession" | "clear";
  /**
   * Whether `clear` also has the tokens revoked.
   *
   * @default false
   */
  revoke?: boolean;
  /**
   * Whether the provider is asked where its endpoints are, so that those on other hosts are named
   * too. Needs `--allow-net` for the issuer's host.
   *
   * @default false
   */
  discover?: boolean;
}

/**
 * All that one `init` (or `createSession`) with these options would need of Deno, each as narrow as
 * Deno offers: what the backend declares, the issuer's and the API's host with their ports, and the
 * variables that are really read. Optional needs are told apart: see `PermissionNeed`.
 *
 * A third-party backend that declares nothing adds nothing.
 *
 * Needs what the options need to be understood: `--allow-env` for the variables that they leave
 * open, and for a backend that the environment names what loading it needs. Touches no network, but
 * with `discover`.
 *
 * @param options The options of the call.
 * @param about Which call, and whether the provider is asked.
 * @returns The needs.
 * @throws {ValidMindAuthError} As `init`, for options that are wrong or missing.
 * @throws {CredentialsBackendError} As the choice of the backend; `invalid_permissions` for a
 * backend that declares what is no descriptor.
 *
 * @example
 * ```ts
 * import {
 *   formatPermissionFlags,
 *   MemoryCredentialsBackend,
 *   requiredPermissions,
 * } from "@validmind/auth";
 * import { assertEquals } from "@std/assert";
 *
 * const needs = await requiredPermissions({
 *   issuer: "https://login.example.com",
 *   clientId: "my-app",
 *   apiHost: "https://api.example.com/v1/",
 *   model: "cl123",
 *   credentialsBackend: new MemoryCredentialsBackend(),
 * });
 * assertEquals(
 *   formatPermissionFlags(needs.filter(({ need }) => need !== "optional")),
 *   "--allow-net=api.example.com:443,login.example.com:443",
 * );
 * ```
 */
export async function requiredPermissions(
  options: InitOptions = {},
  about: RequiredPermissionsOptions = {},
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

const ABOUT_TYPES = { call: "string", discover: "boolean", revoke: "boolean" };

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
