import { BACKEND_VARIABLES } from "../../../backends/common/platform.ts";
import { CLIENT_AUTH_VARIABLES, FLOWS } from "../../options/resolve_identity.ts";

/** The kinds of values: a choice is an array of its words. */
export type SettingKind =
  | "text"
  | "url"
  | "file"
  | "boolean"
  | "texts"
  | "object"
  | readonly string[];

/** One setting of the file. */
export interface Setting {
  readonly kind: SettingKind;
  /** The flag for the same. */
  readonly flag?: string;
  /** The variables for the same, which win over the file. */
  readonly variables: readonly string[];
}

/** All settings, by their names in the file, which are those of the options of `init()`. */
export const SETTINGS = {
  issuer: { kind: "url", flag: "issuer", variables: ["VM_OIDC_ISSUER"] },
  clientId: { kind: "text", flag: "client-id", variables: ["VM_OIDC_CLIENT_ID"] },
  audience: { kind: "text", flag: "audience", variables: ["VM_OIDC_AUDIENCE"] },
  scope: { kind: "text", flag: "scope", variables: ["VM_OIDC_SCOPE"] },
  flow: { kind: FLOWS, flag: "flow", variables: ["VM_OIDC_FLOW"] },
  apiHost: { kind: "url", flag: "api-host", variables: ["VM_API_URL", "VM_API_HOST"] },
  clientKeyFile: { kind: "file", variables: [CLIENT_AUTH_VARIABLES.clientKeyFile] },
  clientAssertionFile: { kind: "file", variables: [CLIENT_AUTH_VARIABLES.clientAssertionFile] },
  redirectUri: { kind: "text", flag: "redirect-uri", variables: ["VM_OIDC_REDIRECT_URI"] },
  listen: { kind: "text", flag: "listen", variables: ["VM_OIDC_LISTEN"] },
  loginHint: { kind: "text", flag: "login-hint", variables: [] },
  authorizationParameters: { kind: "texts", flag: "parameter", variables: [] },
  openBrowser: { kind: "boolean", flag: "open", variables: [] },
  backend: {
    kind: "text",
    flag: "backend",
    variables: [BACKEND_VARIABLES.ownName, BACKEND_VARIABLES.name],
  },
  backendOptions: {
    kind: "object",
    flag: "backend-options",
    variables: [BACKEND_VARIABLES.ownOptions, BACKEND_VARIABLES.options],
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;

export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

export function settingOf(name: SettingName): Setting {
  return SETTINGS[name];
}
