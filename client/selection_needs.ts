import { HOME_VARIABLE } from "../backends/credentials_path.ts";
import { parseFlag } from "../backends/parse_flag.ts";
import { isEnvGranted, readEnvIfGranted } from "../backends/read_env.ts";
import type { PermissionNeed } from "./permission_need.ts";

const NO_PERSIST = "VM_OIDC_NO_PERSIST";
const BACKEND = "VM_OIDC_CREDENTIALS_BACKEND";

/**
 * The variables that choose the backend, where neither an argument nor a default does; as many as
 * follow from those that may be read already.
 */
export function selectionNeeds(): PermissionNeed[] {
  if (parseFlag(NO_PERSIST, readEnvIfGranted(NO_PERSIST))) return [env(NO_PERSIST)];
  const needs = [env(NO_PERSIST), env(BACKEND)];
  if (readEnvIfGranted(BACKEND) !== undefined) return [...needs, env(`${BACKEND}_KWARGS`)];
  // Without a backend of the host's choice the file is used, and it is in the home folder.
  const isFile = isEnvGranted(NO_PERSIST) && isEnvGranted(BACKEND);
  return isFile ? [...needs, env(HOME_VARIABLE, "to find the stored tokens")] : needs;
}

function env(variable: string, reason = "to choose where tokens are kept"): PermissionNeed {
  return { name: "env", variable, reason, need: "always" };
}
