import { envNeeds, hostNeeds, secretNeeds } from "../permissions/needs.ts";
import { discoveredNeeds } from "../required_permissions.ts";
import type { PermissionNeed } from "../permission_need.ts";
import { backendNeeds, preflight } from "../permissions/preflight.ts";
import { resolveIdentity } from "../options/resolve_identity.ts";
import type { Identity } from "../options/identity.ts";
import { resolveOptions } from "../options/resolve_options.ts";
import { chooseBackend } from "./choose_backend.ts";
import type { FlagValues } from "./flags.ts";
import { identityOptions } from "./identity_options.ts";

/** The variables that say whose tokens are meant, as far as flags leave them open. */
export function identityNeeds(flags: FlagValues): PermissionNeed[] {
  return envNeeds(identityOptions(flags), "clear");
}

/**
 * Whose tokens are meant, by flag or variable.
 *
 * @param action What cannot be done without it, as in "Cannot {action}".
 */
export async function findIdentity(flags: FlagValues, action: string): Promise<Identity> {
  await preflight(action, identityNeeds(flags), "always");
  return resolveIdentity(identityOptions(flags), action);
}

/** What signing in by this program needs. Unlike a script, it calls no API. */
export async function signInNeeds(flags: FlagValues, discover = false): Promise<PermissionNeed[]> {
  const action = "name the permissions";
  const variables: PermissionNeed[] = [...identityNeeds(flags), ...secretNeeds({}), {
    name: "env",
    variable: "VM_API_TIMEOUT",
    reason: "to know how long to wait",
    need: "optional",
  }];
  await preflight(action, variables, "always");
  const { apiHost: _, ...resolved } = resolveOptions(identityOptions(flags), action);
  await using chosen = await chooseBackend(flags, action, variables);
  return [
    ...variables,
    ...hostNeeds(resolved),
    ...(discover ? await discoveredNeeds(resolved) : []),
    ...chosen.needs,
    ...backendNeeds(chosen.backend),
  ];
}
