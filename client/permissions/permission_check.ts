import { isGranted } from "../../backends/common/permission.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import type { PermissionNeed } from "../format_permissions.ts";
import type { SessionOptions } from "../session_options.ts";
import { backendNeeds } from "./start_needs.ts";

/** Loaded where a permission is missing, given back, asked about or listed, and for rare options. */
export const loadPreflight = () => import("./preflight.ts");

/**
 * Gives a check of the needs of `when` among some. Its error names all that are known, and its words are
 * loaded where one is missing.
 */
export function permissionCheck(
  action: string,
  options: SessionOptions = {},
  backend?: OidcCredentialsBackend,
) {
  const ofBackend = () => backend ? backendNeeds(backend) : [];
  return async (
    needs: readonly PermissionNeed[],
    when: PermissionNeed["need"] = "always",
    more: () => readonly PermissionNeed[] = ofBackend,
  ) => {
    if (!needs.some((need) => need.need === when && !isGranted(need))) return;
    const { browserNeeds, preflight } = await loadPreflight();
    const all = () => [...more(), ...needs, ...browserNeeds(options)];
    preflight(action, needs, when, all, backend);
  };
}
