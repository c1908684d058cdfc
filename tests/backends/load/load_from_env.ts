import { BACKEND_VARIABLES } from "../../../backends/common/backend_choice.ts";
import { loadBackendFromEnv } from "../../../backends/resolve_credentials_backend.ts";
import { withEnv } from "../../support/own_env.ts";

/** The backend that the environment names, with these options of it and other variables. */
export function load(name?: string, kwargs?: unknown, more: Record<string, string> = {}) {
  const options = typeof kwargs === "string" ? kwargs : JSON.stringify(kwargs);
  const variables = {
    HOME: "/home/ana", // a service may have none
    ...(name !== undefined && { [BACKEND_VARIABLES.name]: name }),
    ...(options !== undefined && { [BACKEND_VARIABLES.options]: options }),
  };
  return withEnv({ ...variables, ...more }, loadBackendFromEnv);
}
