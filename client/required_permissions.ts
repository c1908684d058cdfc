import type { InitOptions } from "./session_options.ts";
import type { PermissionNeed } from "./permission_need.ts";

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
  const { collectPermissions } = await import("./permissions/needs.ts");
  return await collectPermissions(options, about);
}
