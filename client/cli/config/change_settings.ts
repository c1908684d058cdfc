import { HOME_VARIABLE } from "../../../backends/common/environment.ts";
import { jsonOr, parseObject } from "../../../backends/common/json.ts";
import {
  faultOfFolder,
  faultOfMode,
  lookIfPresent,
  PathFault,
  WRITABLE_FOR_OTHERS,
} from "../../../backends/common/judge_path.ts";
import { dirname } from "../../../backends/common/paths.ts";
import { withFileLock } from "../../../backends/file.ts";
import { readAndWrite, resolveLink } from "../../../backends/file/document.ts";
import { fileError, refuse } from "../../../backends/file/faults.ts";
import { replaceFile } from "../../../backends/file/replace_file.ts";
import { parseBackendSpec } from "../../../backends/load/create_backend.ts";
import { ValidMindAuthError } from "../../errors.ts";
import type { PermissionNeed } from "../../format_permissions.ts";
import { checkBrowserOptions } from "../../options/browser_options.ts";
import { optionNamed, optionRow, type SettingName, SETTINGS } from "../../options/declaration.ts";
import { resolveOptions } from "../../options/resolve_options.ts";
import { assertInPlace, parseSettings, readSettingsText } from "../../options/settings_file.ts";
import { CONFIG_VARIABLE, settingsPath } from "../../options/settings_path.ts";
import { preflight } from "../../permissions/preflight.ts";
import { env } from "../../permissions/start_needs.ts";
import { usageError } from "../command.ts";
import type { FlagValues } from "../flags.ts";
import { unknownWord } from "../unknown_word.ts";

export const CHANGE = "change the settings";

/** A setting by its name, and its value; there is none where that is missing. */
export type Pair = readonly [name: string, value?: string];

/** The settings as they stand: those of the profile that the flags name, or those outside of profiles. */
export function keptSettings(flags: FlagValues): Record<string, unknown> {
  return profileOf(readSettingsDocument(placeOfFile(flags)), flags.text("profile"));
}

/** Changes the file, which is written whole, and only if it can be read afterwards. */
export async function changeSettings(
  flags: FlagValues,
  way: "set" | "unset",
  pairs: readonly Pair[],
) {
  preflight(CHANGE, changeNeeds(flags));
  const path = placeOfFile(flags);
  const profile = flags.text("profile");
  const draft = () => draftChange(path, way, pairs, profile);
  const { names, absent } = draft();
  if (names.length > 0) {
    // Two at once would lose one of the changes.
    await withFileLock(path, "settings", () => Promise.try(writeSettings, path, draft));
  }
  return { path, names, absent };
}

const NO_MODES = new PathFault(
  "its file system lets others write it, whatever its mode",
  `Keep it on another one, by --config or ${CONFIG_VARIABLE}.`,
);

function writeSettings(path: string, draft: () => { text: string }) {
  const { text } = draft();
  try {
    const file = resolveLink(path);
    const { mode } = lookIfPresent(file) ?? {};
    // Some file systems keep no modes. The file would be refused by each later command.
    const isClosed = () => {
      const temp = lookIfPresent(`${file}.tmp`);
      return !temp || faultOfMode(file, temp, WRITABLE_FOR_OTHERS) === undefined;
    };
    const isWritten = replaceFile(file, text, { isUnchanged: isClosed });
    if (!isWritten) refuse("write", file, NO_MODES);
    // One for everybody stays readable, unless a neighbour can put another file in its place.
    if (mode && faultOfFolder(file) === undefined) Deno.chmodSync(file, mode & 0o777);
  } catch (error) {
    throw fileError("write", path, error);
  }
}

/** The text of the changed file, with the settings that differ, and those to take out that it lacks. */
function draftChange(
  path: string,
  way: "set" | "unset",
  pairs: readonly Pair[],
  profile: string | undefined,
) {
  const document = readSettingsDocument(path);
  const before = JSON.stringify(document);
  const entry = profileOf(document, profile);
  const names: string[] = [];
  const absent: string[] = [];
  for (const [word, value = ""] of pairs) {
    const name = way === "unset" && Object.hasOwn(entry, word) ? word : settingName(word);
    if (way === "set") entry[name] = parseValue(name as SettingName, value);
    const changed = Object.hasOwn(entry, name) ? names : absent;
    changed.push(name);
    if (way === "unset") delete entry[name];
  }
  if (profile !== undefined && Object.keys(entry).length === 0) {
    delete (document.profiles as Record<string, unknown>)[profile];
  }
  const text = `${JSON.stringify(document, null, 2)}\n`;
  const settings = parseChanged(path, text, before);
  if (way === "set") {
    assertInPlace(path, settings);
    checkValues({ profile, ...settings.profiles.get(profile!) ?? settings.common });
  }
  return { names, absent, text };
}

/** Parses the changed file. What the change brings into a sound file is no fault of the file. */
function parseChanged(path: string, text: string, before: string) {
  try {
    return parseSettings(path, text);
  } catch (error) {
    parseSettings(path, before);
    const parts = { ...error as ValidMindAuthError, action: CHANGE };
    throw new ValidMindAuthError("settings_invalid", parts);
  }
}

/** The variables that name the place of the file, and its folder, which also holds the lock. */
function changeNeeds(flags: FlagValues): PermissionNeed[] {
  const file = flags.text("config");
  const variables = file === undefined ? [CONFIG_VARIABLE, HOME_VARIABLE] : [];
  const needs = variables.map((one) => env(one, "to find the settings file"));
  const path = file ?? settingsPath();
  if (!path) return needs;
  const more = { reason: "to change the settings file", need: "always" } as const;
  return [...needs, ...readAndWrite(dirname(path)).map((one) => ({ ...one, ...more }))];
}

function placeOfFile(flags: FlagValues) {
  const path = flags.text("config") ?? settingsPath();
  if (path) return path;
  throw usageError(
    "Cannot find the settings file: VM_AUTH_CONFIG is empty, or the home folder is not known. Give " +
      "--config.",
  );
}

/** The file as it stands, with keys that are not known, too. */
function readSettingsDocument(path: string) {
  let text = "{}";
  try {
    text = readSettingsText(path);
  } catch (error) {
    const { cause } = error as Error;
    if (!(cause instanceof Deno.errors.NotFound)) throw error;
  }
  const document = parseObject(text);
  if (document === undefined) parseSettings(path, text); // the error has the line
  return document ?? {};
}

/** The settings of a profile, made where it is new; without a name those outside of profiles. */
function profileOf(
  document: Record<string, unknown>,
  name: string | undefined,
): Record<string, unknown> {
  if (name === undefined) return document;
  // Without a prototype: a profile may have the name "constructor".
  const profiles = Object.assign(Object.create(null), document.profiles);
  document.profiles = profiles;
  return profiles[name] = { ...profiles[name] };
}

/** The checks of a sign-in. What it also needs may be set later. */
function checkValues({ backend, ...values }: Readonly<Record<string, unknown>>) {
  const own = { issuer: "https://login.example.com", clientId: "my-client", model: "cl123" };
  const api = { apiHost: "https://api.example.com/", listen: "127.0.0.1:8765" };
  const options = { ...own, ...api, ...values };
  resolveOptions(options, CHANGE, true);
  checkBrowserOptions(options, CHANGE);
  if (backend !== undefined) parseBackendSpec(`${backend}`, "backend");
}

/** The setting that a person names as the file or as a flag does. */
function settingName(word: string) {
  const found = optionNamed(word);
  if (found !== undefined && SETTINGS.includes(found)) return found;
  throw unknownWord(word, "a setting", SETTINGS);
}

/** A value as the settings have it, by the type of the setting, which refuses what does not fit. */
function parseValue(name: SettingName, text: string): unknown {
  const { type } = optionRow(name);
  const isJson = ["texts", "object", "boolean", "timeout"].some((one) => one === type);
  return isJson ? jsonOr(text) : text;
}
