import { readBackendChoice } from "../../../backends/load/backend_choice.ts";
import { readEnvIfGranted } from "../../../backends/common/platform.ts";
import { CLIENT_AUTH_VARIABLES } from "../../options/resolve_identity.ts";
import { normalizeClientId, normalizeIssuer } from "../../entry.ts";
import type { PermissionNeed } from "../../permission_need.ts";
import { SETTING_NAMES, type SettingName, settingOf } from "./setting.ts";
import { parseSettings, type SettingsDocument, type SettingsEntry } from "./settings_document.ts";
import { SettingsError } from "./settings_error.ts";
import {
  PLACE_VARIABLES,
  readSettingsText,
  type SettingsText,
  targetOf,
  usualPlace,
} from "./settings_file.ts";

/** The flags of a call, as far as they decide about the file. */
export interface GivenFlags {
  /** The value of a flag that is given. */
  text(flag: string): string | undefined;
  /** Whether a flag is given. */
  has(flag: string): boolean;
  /** Whether the command takes a flag. */
  takes(flag: string): boolean;
}

const NO_FLAGS: GivenFlags = { text: () => undefined, has: () => false, takes: () => false };

/** `unknown`: no variable that may be read leads to the file. */
export type SettingsState = SettingsText["state"] | "unknown";

/**
 * The settings that apply to one call, of `default` or of the profile that is named.
 *
 * A flag wins over a variable, and a variable over the file. The entry of a profile that `--profile`
 * names wins over variables too: who types a profile means it, whatever the shell has exported.
 */
export class Settings {
  readonly #given: GivenFlags;
  readonly #file: SettingsText | undefined;
  readonly #document: SettingsDocument | undefined;
  /** The place of the file, also where there is none; `undefined` where it is not known. */
  readonly path: string | undefined;
  /** The error of a file that cannot be used. */
  readonly fault: SettingsError | undefined;

  /** Reads the file, as far as Deno permits. Without flags it reads nothing. */
  constructor(given: GivenFlags = NO_FLAGS) {
    this.#given = given;
    if (given === NO_FLAGS) return;
    const config = given.text("config");
    this.path = config ?? usualPlace();
    if (this.path === undefined) return;
    try {
      this.#file = readSettingsText(this.path);
      if (this.#file.state === "read") this.#document = parseSettings(this.path, this.#file.text);
      else if (config !== undefined) throw missing(this.path, this.#file);
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error;
      this.fault = error;
    }
  }

  get state(): SettingsState {
    return this.#file?.state ?? "unknown";
  }

  /** The reason and the remedy for a file that was left alone, in sentences. */
  get denial(): string | undefined {
    if (this.#file?.state !== "denied") return undefined;
    const { reason, advice } = this.#file;
    return `The settings file ${this.path} is not read: ${reason}. ${advice}`;
  }

  get profiles(): readonly string[] {
    return [...this.#document?.profiles.keys() ?? []];
  }

  /** The name of the entry that applies: `default`, or `profiles.NAME`. */
  get entryName(): string {
    const name = this.#profile();
    return name !== undefined && this.#document?.profiles.has(name)
      ? `profiles.${name}`
      : "default";
  }

  /** Whether the entry is that of a profile which a variable names. */
  get isProfileByVariable(): boolean {
    return !this.#given.has("profile") && this.entryName !== "default";
  }

  /** The value of the file for this call, if the file decides. */
  value(name: SettingName): unknown {
    return this.#decides(name) ? this.#entry()[name] : undefined;
  }

  text(name: SettingName): string | undefined {
    return this.value(name) as string | undefined;
  }

  /** What decides about a setting of the command: a flag, the path of the file, or a variable. */
  sourceOf(name: SettingName): string | undefined {
    const { flag = "issuer" } = settingOf(name);
    if (!this.#given.takes(flag)) return undefined;
    return this.sourceBeforeVariables(name) ?? this.#variableOf(name);
  }

  /** The same without a look at the variables, which not every command may read. */
  sourceBeforeVariables(name: SettingName): string | undefined {
    const { flag } = settingOf(name);
    if (flag !== undefined && this.#given.has(flag)) return `--${flag}`;
    return this.#decides(name) ? this.path : undefined;
  }

  #variableOf(name: SettingName): string | undefined {
    if (name === "backend" || name === "backendOptions") {
      const { by, options } = readBackendChoice(readEnvIfGranted);
      if (name === "backend") return by;
      return options !== undefined && isSet(options) ? options : undefined;
    }
    if (isOfClient(name) && !this.isClientOfVariables()) return undefined;
    return settingOf(name).variables.find(isSet);
  }

  /** What names the profile. */
  get profileSource(): string | undefined {
    if (this.#given.has("profile")) return "--profile";
    return this.#profile() === undefined ? undefined : "VM_OIDC_PROFILE";
  }

  /** Whether the entry wins over variables. */
  get isExplicit(): boolean {
    return this.#given.has("profile") && this.entryName !== "default";
  }

  /** Names of the settings about which the file decides. */
  get used(): readonly SettingName[] {
    return SETTING_NAMES.filter((name) => this.#decides(name));
  }

  /** The permissions to find and to read the file. A command runs without them, unless it is named. */
  needs(): PermissionNeed[] {
    if (this.#given === NO_FLAGS) return [];
    const isNamed = this.#given.has("config");
    const need = isNamed ? "always" : "optional";
    const reason = "to read the settings file";
    const paths = this.path === undefined ? [] : [...new Set([this.path, targetOf(this.path)])];
    const entry = this.#entry();
    const hasFile = entry.clientKeyFile !== undefined || entry.clientAssertionFile !== undefined;
    const variables = [
      ...(isNamed ? [] : PLACE_VARIABLES),
      ...(this.#given.has("profile") ? [] : ["VM_OIDC_PROFILE"]),
      ...(hasFile ? Object.values(CLIENT_AUTH_VARIABLES) : []), // they win
    ];
    return [
      ...variables.map((variable) => ({
        name: "env",
        variable,
        reason: "to find the settings",
        need: "optional",
      } as const)),
      ...paths.map((path) => ({ name: "read", path, reason, need } as const)),
      { name: "sys", kind: "uid", reason: "to know whose the settings file is", need: "optional" },
    ];
  }

  #profile(): string | undefined {
    return this.#given.text("profile") ?? readEnvIfGranted("VM_OIDC_PROFILE")?.trim();
  }

  #entry(): SettingsEntry {
    const name = this.#profile();
    const own = name === undefined ? undefined : this.#document?.profiles.get(name);
    return own ?? this.#document?.default ?? {};
  }

  #decides(name: SettingName): boolean {
    const { flag, variables } = settingOf(name);
    if (this.#entry()[name] === undefined || !this.#given.takes(flag ?? "issuer")) return false;
    if (flag !== undefined && this.#given.has(flag)) return false;
    if (name === "openBrowser" && this.#given.has("no-open")) return false;
    if (name === "authorizationParameters" && this.#given.has("consent")) return false;
    if (name === "backendOptions") return this.#decides("backend");
    if (isOfClient(name)) return this.#isOwnClient();
    if (this.isExplicit) return true;
    if (name === "backend") return readBackendChoice(readEnvIfGranted).by === undefined;
    if ((name === "issuer" || name === "clientId") && this.#isByKey()) return false;
    return !variables.some(isSet);
  }

  /** Whether an API key of the variables signs in. */
  #isByKey(): boolean {
    const { has } = this.#given;
    return !has("issuer") && !has("client-id") &&
      ["VM_API_KEY", "VM_API_SECRET"].every(isSet);
  }

  /**
   * Whether the client's file is for the client that signs in: the entry's own. Where variables name
   * the same client, with a secret or a file of its own, they win.
   */
  #isOwnClient(): boolean {
    const { issuer, clientId } = this.#entry();
    if (!this.#isClient(issuer as string | undefined, clientId as string | undefined)) return false;
    const isByVariables = Object.values(CLIENT_AUTH_VARIABLES).some(isSet) &&
      this.isClientOfVariables();
    return this.isExplicit || !isByVariables;
  }

  /** Whether variables name the client that signs in: their secret or file is for it alone. */
  isClientOfVariables(): boolean {
    const [issuer, clientId] = ["VM_OIDC_ISSUER", "VM_OIDC_CLIENT_ID"].map(readEnvIfGranted);
    return this.#isClient(issuer, clientId);
  }

  /** Whether a client is the one that signs in. */
  #isClient(issuer: string | undefined, clientId: string | undefined): boolean {
    const [usedIssuer, usedClientId] = [this.#resolved("issuer"), this.#resolved("clientId")];
    return issuer !== undefined && clientId !== undefined &&
      usedIssuer !== undefined && usedClientId !== undefined &&
      normalizeIssuer(issuer) === normalizeIssuer(usedIssuer) &&
      normalizeClientId(clientId) === normalizeClientId(usedClientId);
  }

  #resolved(name: "issuer" | "clientId"): string | undefined {
    const { flag = "", variables: [variable = ""] } = settingOf(name);
    return this.#given.text(flag) ?? this.text(name) ?? readEnvIfGranted(variable);
  }
}

function isOfClient(name: SettingName): boolean {
  return name === "clientKeyFile" || name === "clientAssertionFile";
}

function isSet(variable: string): boolean {
  return readEnvIfGranted(variable) !== undefined;
}

function missing(
  path: string,
  file: Exclude<SettingsText, { state: "read" }>,
): SettingsError {
  return file.state === "denied"
    ? new SettingsError(path, file.reason, file.advice)
    : new SettingsError(path, "there is no such file", "Check the path of --config.");
}
