import { netHost } from "../backends/common/hosts.ts";
import type { ResolvedOptions } from "./options/resolve_options.ts";
import type { PermissionNeed, RequiredPermissionsOptions } from "./permission_need.ts";
import type { InitOptions } from "./session_options.ts";

/** Loaded where somebody asks for permissions. */
const loadNeeds = () => import("./permissions/needs.ts");
/** Loaded where the provider is asked for its endpoints. */
const loadProvider = () => import("./provider/oidc_provider.ts");

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
  const { collectPermissions } = await loadNeeds();
  return await collectPermissions(options, about, discoveredNeeds);
}

/** The hosts of the provider's endpoints beside the issuer's own. */
export async function discoveredNeeds(
  { identity, runtime }: ResolvedOptions,
): Promise<PermissionNeed[]> {
  if (identity.kind !== "oidc") return [];
  const { OidcProvider } = await loadProvider();
  const hosts = await new OidcProvider(identity, runtime).endpointHosts();
  return hosts.filter((host) => host !== netHost(new URL(identity.issuer))).map((host) => ({
    name: "net",
    host,
    reason: "to use the provider's endpoints",
    need: "sign_in",
  }));
}
