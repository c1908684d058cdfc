import { netHost } from "../backends/hosts.ts";
import type { OidcCredentialsBackend } from "../backends/oidc_credentials_backend.ts";
import { backendNeeds } from "./preflight.ts";
import type { PermissionNeed } from "./permission_need.ts";

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
