import type { ResolvedOptions } from "./options/resolve_options.ts";
import type { PermissionNeed, RequiredPermissionsOptions } from "./permission_need.ts";
import type { InitOptions } from "./session_options.ts";

/** Loaded where somebody asks for permissions. */
const loadNeeds = () => import("./permissions/needs.ts");
/** Loaded where the provider is asked for its endpoints. */
const loadProvider = () => import("./provider/oidc_provider.ts");

/**
 * Lists the permissions that `init` (or another call) with these options needs, each as narrow as
 * Deno offers: those that the backend declares, the issuer's and the API's host with their ports, and
 * the variables that are read. `need` tells optional ones apart: see {@linkcode PermissionNeed}.
 *
 * A third-party backend that declares nothing adds nothing.
 *
 * Needs `--allow-env` for the variables of absent options, and for a backend that the environment
 * names the permissions to load it. Uses no network without `discover`.
 *
 * @param options The options of the call.
 * @param about The call, and whether to ask the provider.
 * @returns The permissions.
 * @throws {ValidMindAuthError} As `init`, for wrong or missing options.
 * @throws {CredentialsBackendError} As the choice of the backend; `invalid_permissions` for a
 * backend that declares anything but descriptors.
 * @category Permissions
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
  const [{ OidcProvider }, { endpointNeeds }] = await Promise.all([loadProvider(), loadNeeds()]);
  return endpointNeeds(identity.issuer, await new OidcProvider(identity, runtime).endpointHosts());
}
