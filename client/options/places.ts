import { readBackendChoice } from "../../backends/common/backend_choice.ts";
import { didYouMean } from "../../backends/common/check_options.ts";
import {
  HOME_VARIABLE,
  isEnvGranted,
  readEnvIfGranted,
} from "../../backends/common/environment.ts";
import { backendName } from "../../backends/common/describe_backend.ts";
import { isGranted, permissionFlag } from "../../backends/common/permission.ts";
import { printable } from "../../backends/common/printable.ts";
import { isDeno } from "../../backends/common/runtime.ts";
import type { NamedBackend } from "../../backends/load/create_backend.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { normalizeIssuer } from "../credential_key.ts";
import { ValidMindAuthError } from "../errors.ts";
import type { InitOptions } from "../session_options.ts";
import { API_KEY, optionRow, OPTIONS } from "./declaration.ts";
import { type Found, Origin, type Place } from "./origin.ts";
import { type Entry, listProfiles, type Settings, settingsPath, shown } from "./settings_path.ts";

/** Loaded where there is a settings file. */
const loadSettingsFile = () => import("./settings_file.ts");

/** Names another settings file among options: for the command line. */
export const SETTINGS_FILE: unique symbol = Symbol("settings file");

/** What a call gives itself, also as the flags of a store. */
export interface Given extends Partial<InitOptions> {
  readonly [SETTINGS_FILE]?: string;
  readonly backend?: string;
  readonly backendOptions?: unknown;
}

/** The values in force of a call, and the settings file among their places. */
export interface CallOrigin {
  readonly origin: Origin;
  readonly settings: Settings;
  /** The settings of the file itself, or of its profile that applies. */
  readonly entry: Entry;
  /** The profile whose settings apply, instead of those of the file itself. */
  readonly profile: string | undefined;
}

/**
 * Finds the values of a call in all places: the call itself, a profile of the settings, the variables, the
 * settings file.
 *
 * @throws {ValidMindAuthError} `settings_invalid` for a file that cannot be used, or that lacks the
 * profile; `permission_required` where a profile is named, and the file may not be read.
 */
export async function findOrigin(given: Given, action: string): Promise<CallOrigin> {
  const settings = await readSettings(given[SETTINGS_FILE]);
  const profile = profileIn(settings, given, action);
  const { path, common, profiles } = settings;
  const places = [codePlace(given)];
  const own = profiles.get(profile!);
  if (own) places.push(filePlace(own, "profile", `the profile ${profile} of ${path}`));
  places.push(VARIABLES);
  if (!own) places.push(filePlace(common, "file", `the settings file ${path}`));
  return { origin: new Origin(places), settings, profile, entry: own ?? common };
}

async function readSettings(named: string | undefined): Promise<Settings> {
  const found = named === undefined ? lookForSettings() : { path: named, state: "read" } as const;
  if (found.state === "read") return (await loadSettingsFile()).readSettingsFile(found.path);
  return { ...found, common: {}, only: {}, profiles: new Map() };
}

/** The place of the file that nobody names, and whether it can be read: a start opens no other one. */
function lookForSettings(): Pick<Settings, "path" | "state" | "denial"> {
  const path = isDeno ? settingsPath() : "";
  if (path === undefined && !isEnvGranted(HOME_VARIABLE)) {
    const flag = permissionFlag("env", HOME_VARIABLE);
    return denied("", `the variable ${HOME_VARIABLE}`, flag);
  }
  if (!path) return { path: "", state: "absent" };
  if (!isGranted({ name: "read", path })) {
    return denied(path, "it", permissionFlag("read", path));
  }
  try {
    Deno.statSync(path);
  } catch (error) {
    const { NotADirectory, NotFound } = Deno.errors;
    const isAbsent = error instanceof NotFound || error instanceof NotADirectory;
    if (isAbsent) return { path, state: "absent" };
  }
  return { path, state: "read" };
}

/** A file that Deno keeps closed, with the parts of its message. */
function denied(path: string, what: string, flag: string) {
  const denial = {
    action: `use the settings file ${path}`.trimEnd(),
    reason: `Deno does not permit ${what}`,
    remedy: `To have it read, run with ${flag}, too.`,
  };
  return { path, state: "denied", denial } as const;
}

/** The profile of the settings that a call or `VM_OIDC_PROFILE` names. Without settings it is a label. */
function profileIn(settings: Settings, given: Given, action: string) {
  const name = profileName(given);
  const { path, denial, profiles } = settings;
  if (name === "" || profiles.has(name)) return name || undefined;
  if (isNamedByCode(given)) return undefined;
  if (denial !== undefined) {
    const reason = `the profile ${name} may be in the settings file, and ${denial.reason}`;
    throw new ValidMindAuthError("permission_required", { ...denial, action, reason });
  }
  if (profiles.size === 0) return undefined;
  const near = printable(didYouMean(name, [...profiles.keys()]));
  const names = near || `It has: ${listProfiles(settings)}.`;
  throw new ValidMindAuthError("settings_invalid", {
    action: `use the settings file ${path}`,
    reason: `it has no profile ${shown(name, "of that name")}`,
    remedy:
      `${names} Or give issuer (--issuer) and clientId (--client-id) beside the profile: variables ` +
      "do not count there.",
  });
}

/** The name of the profile that a call or a variable names; else empty. */
export function profileName({ profile }: Partial<InitOptions>): string {
  return `${profile ?? readEnvIfGranted(OPTIONS.profile.variable)?.trim() ?? ""}`;
}

/** Whether a call names all of its sign-in or key itself, so that a profile is a label. */
export function isNamedByCode(given: Partial<InitOptions>): boolean {
  const isKey = API_KEY.some((name) => given[name]?.trim());
  return isKey || given.issuer !== undefined && given.clientId !== undefined;
}

/** The store that the settings file names, where it decides. */
export function backendOf({ origin, entry }: CallOrigin): NamedBackend | undefined {
  if (entry.backend === undefined) return undefined;
  const { kind, words } = origin.placeOfStore()!;
  if (kind !== "file" && kind !== "profile") return undefined;
  return {
    name: `${entry.backend}`,
    options: JSON.stringify(entry.backendOptions ?? {}),
    origin: { name: `"backend" of ${words}`, options: `"backendOptions" of ${words}` },
  };
}

/**
 * Refuses a store or an issuer that the `only` of the settings file does not name. It guards against
 * mistakes, and not against a person's own code.
 *
 * @throws {ValidMindAuthError} `refused_by_settings`
 */
export function assertAllowed(
  { path, only }: Settings,
  action: string,
  backend: OidcCredentialsBackend,
  issuer?: string,
): void {
  const name = backendName(backend);
  const word = name.replace("CredentialsBackend", "").toLowerCase();
  for (const [rule, allowed] of Object.entries(only)) {
    const names = rule === "backends" ? [word, name] : [issuer];
    const known = [allowed].flat().map((one) => normalizeIssuer(`${one}`));
    if (known.some((one) => names.includes(one)) || names[0] === undefined) continue;
    throw new ValidMindAuthError("refused_by_settings", {
      action,
      reason: `${names[0]} is not among the ${rule} of "only" in the settings file ${path}`,
      remedy: `Use one of: ${known.join(", ")}.`,
    });
  }
}

function codePlace(given: Given): Place {
  return {
    kind: "code",
    words: "the options",
    find(name) {
      const value = given[name];
      const { flag, group } = optionRow(name);
      // As in Python, an empty one means none.
      const isBlank = group === "api_key" && `${value}`.trim() === "";
      if (value === undefined || isBlank) return undefined;
      return { value, from: flag && `--${flag}` || name, place: this };
    },
  };
}

function filePlace(entry: Entry, kind: "profile" | "file", words: string): Place {
  return {
    kind,
    words,
    find(name) {
      if (!Object.hasOwn(entry, name)) return undefined;
      return { value: entry[name], from: "settings file", place: this };
    },
  };
}

const VARIABLES: Place = {
  kind: "variables",
  words: "the variables",
  find(name) {
    if (name === "backend" || name === "backendOptions") return storeOfVariables(name);
    const { variable } = optionRow(name);
    const value = variable && readEnvIfGranted(variable);
    if (!value) return undefined;
    return { value, from: variable, place: this };
  },
};

/** The store that the variables choose, or the variable of its options, which is not shown. */
function storeOfVariables(setting: "backend" | "backendOptions"): Found | undefined {
  const { by, name, options } = readBackendChoice(readEnvIfGranted);
  if (by === undefined) return undefined;
  if (setting === "backend") return { value: name, from: by, place: VARIABLES };
  if (options === undefined || readEnvIfGranted(options) === undefined) return undefined;
  return { value: undefined, from: options, place: VARIABLES };
}
