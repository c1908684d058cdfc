import {
  getEnv,
  HOME_VARIABLE,
  isEnvGranted,
  readEnvIfGranted,
} from "../../backends/common/environment.ts";
import { isAbsolute, join } from "../../backends/common/paths.ts";
import { printable } from "../../backends/common/printable.ts";
import type { ErrorParts } from "../../backends/credentials_backend_error.ts";
import { ValidMindAuthError } from "../errors.ts";

/** The options of the settings file itself, or of one profile. */
export type Entry = Readonly<Record<string, unknown>>;

/** The settings file, as far as Deno permits it. */
export interface Settings {
  /** The place of the file, also where there is none; empty where it is turned off or not known. */
  readonly path: string;
  readonly state: "read" | "absent" | "denied";
  /** The folder of the file, where its owner decides what the file may name. */
  readonly folder?: string | undefined;
  /** The parts of the message for a file that was left alone. */
  readonly denial?: ErrorParts;
  readonly common: Entry;
  readonly profiles: ReadonlyMap<string, Entry>;
  /** The only stores and issuers, each a list: see `assertAllowed`. */
  readonly only: Entry;
}

/** The variable that names another settings file, or turns it off. */
export const CONFIG_VARIABLE = "VM_AUTH_CONFIG";

/** The settings file below the home folder, as pages and help name it. */
export const USUAL_SETTINGS = "~/.config/validmind-auth/settings.json";

/**
 * The usual place of the settings file, apart from all that a script may write. `undefined` where the
 * home folder is not known. `XDG_CONFIG_HOME` is not read: it may lead into such a folder.
 */
export function usualSettingsPath(): string | undefined {
  const home = readEnvIfGranted(HOME_VARIABLE);
  if (home === undefined || !isAbsolute(home)) return undefined; // the working folder may be of another author
  return join(home, ...USUAL_SETTINGS.split("/").slice(1));
}

/**
 * The place of the settings file: the usual one, or the one that `VM_AUTH_CONFIG` names. Empty where that
 * is empty, and `undefined` where the home folder is not known.
 *
 * @throws {ValidMindAuthError} `settings_invalid` for a relative path: the working directory may be of
 * another author.
 */
export function settingsPath(): string | undefined {
  const named = isEnvGranted(CONFIG_VARIABLE) ? getEnv(CONFIG_VARIABLE)?.trim() : undefined;
  if (named === undefined) return usualSettingsPath();
  if (named === "" || isAbsolute(named)) return named;
  throw new ValidMindAuthError("settings_invalid", {
    action: "find the settings file",
    reason: `${CONFIG_VARIABLE} is not an absolute path`,
    remedy: "Give the whole path, or unset it.",
  });
}

/** Why there is no settings file where somebody may expect one; nothing where the usual one is not there. */
export function lackOfSettings(): string | undefined {
  const path = settingsPath();
  if (path === undefined) return `${HOME_VARIABLE} is not set to a whole path`;
  if (path === "") return `${CONFIG_VARIABLE} turns it off`;
  if (path === usualSettingsPath()) return undefined;
  return `${CONFIG_VARIABLE} names ${path}, which is not there`;
}

/** The first profiles of a file as an error lists them. The file may be of another author. */
export function listProfiles({ profiles }: Settings): string {
  return [...profiles.keys()].slice(0, 10).map((name) => printable(name)).join(", ");
}

/** A word as an error shows it. A long or unusual word may be a misplaced secret. */
export function shown(word: string, otherwise: string): string {
  if (/^[\w.:-]{1,24}$/.test(word)) return `"${word}"`;
  return otherwise;
}
