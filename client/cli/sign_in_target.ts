import {
  backendNeeds,
  envNeeds,
  hostAndFileNeeds,
  openNeeds,
  secretNeeds,
} from "../permissions/start_needs.ts";
import { checkBrowserOptions } from "../options/browser_options.ts";
import type { OidcIdentity } from "../options/identity.ts";
import { resolveIdentity } from "../options/resolve_identity.ts";
import { resolveOptions } from "../options/resolve_options.ts";
import type { PermissionNeed } from "../permission_need.ts";
import { browserNeeds } from "../permissions/needs.ts";
import { preflight } from "../permissions/preflight.ts";
import { discoveredNeeds } from "../init.ts";
import type { SessionOptions } from "../session_options.ts";
import { chooseBackend, type ChosenBackend } from "./choose_backend.ts";
import { type Plan, simplePlan } from "./command.ts";
import type { FlagName, FlagValues } from "./flags.ts";
import { SETTING_NAMES, type SettingName } from "./settings/setting.ts";
import { shown, UsageError } from "./usage_error.ts";

export const IDENTITY_FLAGS: readonly FlagName[] = [
  "issuer",
  "client-id",
  "audience",
  "profile",
  "flow",
];

export const SIGN_IN_FLAGS: readonly FlagName[] = [
  ...IDENTITY_FLAGS,
  "dpop",
  "scope",
  "backend",
  "backend-options",
  "config",
];

/** Options of `createSession` by their flags. */
const OPTION_FLAGS: Partial<Record<keyof SessionOptions, FlagName>> = {
  issuer: "issuer",
  clientId: "client-id",
  audience: "audience",
  profile: "profile",
  scope: "scope",
  flow: "flow",
  apiHost: "api-host",
  dpop: "dpop",
  redirectUri: "redirect-uri",
  listen: "listen",
  loginHint: "login-hint",
  openBrowser: "open",
};

/** Options of `createSession` that flags and the settings file give. Variables give the rest. */
export function sessionOptions(flags: FlagValues): SessionOptions {
  const options: Record<string, unknown> = { ...givenOptions(flags) };
  for (const name of flags.settings.used) {
    if (name !== "backend" && name !== "backendOptions") options[name] = flags.settings.value(name);
  }
  // Nobody is asked there. Of the file, unlike a flag, it is no mistake.
  if (options.flow === "client_credentials" && !flags.has("open")) delete options.openBrowser;
  return options;
}

/** Options of `createSession` that the flags give. */
function givenOptions(flags: FlagValues): SessionOptions {
  const options: Record<string, unknown> = {};
  for (const [option, flag] of Object.entries(OPTION_FLAGS)) {
    if (flags.has(flag)) options[option] = flags.text(flag) ?? true;
  }
  if (flags.has("no-open")) options.openBrowser = false;
  const parameters = parametersOf(flags);
  if (parameters.size > 0) options.authorizationParameters = Object.fromEntries(parameters);
  return options;
}

/** The further parameters of the page of the sign-in. A value may have an equals sign in it. */
function parametersOf(flags: FlagValues): Map<string, string> {
  const parameters = new Map(flags.has("consent") ? [["prompt", "consent"]] : []);
  for (const text of flags.all("parameter")) {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
    if (name === undefined || value === undefined) {
      throw new UsageError(
        "Cannot use --parameter: its value is no name with a value. Give --parameter NAME=VALUE, " +
          "such as --parameter prompt=login.",
      );
    }
    if (parameters.has(name)) {
      const other = flags.has("consent") && name === "prompt" ? "--consent" : "another --parameter";
      throw new UsageError(
        `Cannot use --parameter: ${other} gives ${
          shown(name, "that name")
        }, too. Give one of them.`,
      );
    }
    parameters.set(name, value);
  }
  return parameters;
}

/** Variables that identify a sign-in where the flags do not. They win over the settings file. */
export function identityNeeds(flags: FlagValues): PermissionNeed[] {
  return envNeeds(givenOptions(flags), "clear");
}

/** What decides about each setting of a sign-in: a flag, a variable, or the settings file. */
export type Sources = Readonly<Record<string, string>>;

/** The settings whose variables each command reads that signs in. */
const BY_VARIABLES: readonly SettingName[] = [
  "issuer",
  "clientId",
  "audience",
  "scope",
  "flow",
  "apiHost",
  "backend",
];

/** The sources of all that is not left at its default, by the names of the settings. */
export function sourcesOf({ settings }: FlagValues): Sources {
  const sources = SETTING_NAMES.map((name) => {
    const isRead = BY_VARIABLES.includes(name);
    return [name, isRead ? settings.sourceOf(name) : settings.sourceBeforeVariables(name)] as const;
  });
  return Object.fromEntries(
    [["profile", settings.profileSource] as const, ...sources]
      .flatMap(([name, source]) => source === undefined ? [] : [[name, source]]),
  );
}

export interface SignInTarget extends Plan {
  /** The person's sign-in and its backend; `undefined` if an API key takes their place. */
  readonly stored?: { readonly identity: OidcIdentity; readonly chosen: ChosenBackend };
  readonly sources: Sources;
}

/** Finds the sign-in. `settings` are the permissions for reading the variables. */
export async function findTarget(
  flags: FlagValues,
  action: string,
  settings: readonly PermissionNeed[] = identityNeeds(flags),
): Promise<SignInTarget> {
  await preflight(action, settings, "always");
  const identity = resolveIdentity(sessionOptions(flags), action);
  const sources = sourcesOf(flags);
  if (identity.kind === "api_key") return { ...simplePlan(() => settings), sources };
  const chosen = await chooseBackend(flags, action, settings);
  return {
    stored: { identity, chosen },
    sources,
    needs: () => [...settings, ...chosen.needs(), ...backendNeeds(chosen.backend)],
    [Symbol.asyncDispose]: () => chosen[Symbol.asyncDispose](),
  };
}

/** The same for a command that may sign a person in. Unlike a script, it calls no API. */
export async function findSignInTarget(flags: FlagValues, action: string): Promise<SignInTarget> {
  const options = sessionOptions(flags);
  if (options.redirectUri ?? options.listen ?? options.authorizationParameters) {
    checkBrowserOptions(options, action);
  }
  const settings = [
    ...identityNeeds(flags),
    ...secretNeeds({}),
    ...openNeeds("optional", "to know how long to wait", { VM_API_TIMEOUT: undefined }),
  ];
  const target = await findTarget(flags, action, settings);
  const needs = async (discover = false) => {
    const options = sessionOptions(flags);
    const { apiHost: _, ...resolved } = resolveOptions(options, action);
    const discovered = discover ? await discoveredNeeds(resolved) : [];
    const needs = [...hostAndFileNeeds(resolved), ...discovered, ...await target.needs()];
    return [...needs, ...browserNeeds(options)];
  };
  return { ...target, needs };
}
