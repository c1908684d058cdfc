import { readEnvIfGranted } from "../backends/read_env.ts";
import type { InitOptions } from "./init_options.ts";
import type { PermissionNeed } from "./permission_need.ts";

const TO_ASK = "to know whether a person may be asked";
const TO_PROVE = "to know the client's secret, if any";

/** The variables that the options leave open, and whether a start can do without each. */
export function envNeeds(
  options: InitOptions,
  call: "init" | "createSession" | "clear",
): PermissionNeed[] {
  if (call === "clear") {
    return identityNeeds(options).filter(({ reason }) => reason !== TO_ASK && reason !== TO_PROVE);
  }
  return [
    ...identityNeeds(options),
    ...need("optional", "to find the API", {
      VM_API_URL: options.apiUrl ?? options.apiHost,
      VM_API_HOST: options.apiUrl ?? options.apiHost,
    }),
    ...need("optional", "to know how long to wait", { VM_API_TIMEOUT: options.timeoutMs }),
    ...(call === "init"
      ? need("always", "to know the model", { VM_API_MODEL: options.model })
      : []),
  ];
}

function identityNeeds(options: InitOptions): PermissionNeed[] {
  const { issuer, clientId, apiKey, apiSecret } = options;
  const oidc = { VM_OIDC_ISSUER: issuer, VM_OIDC_CLIENT_ID: clientId };
  const key = { VM_API_KEY: apiKey, VM_API_SECRET: apiSecret };
  const reason = "to know who signs in";
  if (apiKey !== undefined || apiSecret !== undefined) return need("always", reason, key);
  const isChosen = issuer !== undefined || clientId !== undefined;
  const isByKey = !isChosen && readEnvIfGranted("VM_OIDC_ISSUER") === undefined &&
    readEnvIfGranted("VM_API_KEY") !== undefined;
  if (isByKey) return [...need("always", reason, key), ...need("optional", reason, oidc)];
  return [
    ...need("always", reason, oidc),
    ...(isChosen ? [] : need("optional", reason, key)),
    ...need("optional", "to know what to ask the provider for", {
      VM_OIDC_SCOPE: options.scope,
      VM_OIDC_AUDIENCE: options.audience,
    }),
    ...need("optional", "to know which sign-in is meant", {
      VM_OIDC_PROFILE: options.profile,
    }),
    ...secretNeeds(options),
    ...need("optional", TO_ASK, {
      VM_OIDC_INTERACTIVE: options.interactive,
    }),
  ];
}

/** The secret's variable, and those that say whose it is: for all that asks the provider. */
export function secretNeeds({ clientSecret }: InitOptions): PermissionNeed[] {
  return need("optional", TO_PROVE, {
    VM_OIDC_CLIENT_SECRET: clientSecret,
    VM_OIDC_ISSUER: clientSecret,
    VM_OIDC_CLIENT_ID: clientSecret,
  });
}

/** One need for each variable whose option is not given. */
function need(
  when: PermissionNeed["need"],
  reason: string,
  variables: Record<string, unknown>,
): PermissionNeed[] {
  return Object.entries(variables)
    .filter(([, given]) => given === undefined)
    .map(([variable]) => ({ name: "env", variable, reason, need: when }));
}
