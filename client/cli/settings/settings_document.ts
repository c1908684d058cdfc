// Not the forms for any system, which read eight modules more.
import { isAbsolute as isAbsolutePosix } from "@std/path/posix/is-absolute";
import { join as joinPosix } from "@std/path/posix/join";
import { isAbsolute as isAbsoluteWindows } from "@std/path/windows/is-absolute";
import { join as joinWindows } from "@std/path/windows/join";
import { folderOf, isWindows } from "../../../backends/common/platform.ts";
import { isObject, parseObject } from "../../../backends/common/printable.ts";
import { isPathSpecifier } from "../../../backends/load/backend_setting.ts";
import { checkProfile } from "../../entry.ts";
import { checkIssuer, secureUrl } from "../../options/resolve_identity.ts";
import { didYouMean, shown } from "../usage_error.ts";
import { SETTING_NAMES, type SettingName, settingOf } from "./setting.ts";
import { SettingsError } from "./settings_error.ts";

/** The settings of `default`, or of one profile. */
export type SettingsEntry = Partial<Record<SettingName, unknown>>;

/** The whole file. Each entry stands for itself: a profile takes nothing from `default`. */
export interface SettingsDocument {
  readonly default: SettingsEntry;
  readonly profiles: ReadonlyMap<string, SettingsEntry>;
}

const isAbsolute = isWindows ? isAbsoluteWindows : isAbsolutePosix;
const join = isWindows ? joinWindows : joinPosix;

const PARTS = ["default", "profiles"];
const EXAMPLE = '{"default": {"issuer": "https://login.example.com", "clientId": "my-client"}}';

/** Reads the text of a settings file. An error names the key, and shows no value. */
export function parseSettings(path: string, text: string): SettingsDocument {
  const document = parseObject(text);
  if (document === undefined) {
    const reason = `it is not one JSON object${placeOfFault(text)}`;
    throw new SettingsError(path, reason, `Write it like ${EXAMPLE}.`);
  }
  for (const name of Object.keys(document)) if (!PARTS.includes(name)) throw noPart(path, name);
  const { default: common = {}, profiles = {} } = document;
  if (!isObject(profiles)) {
    const advice = 'Write {"profiles": {"NAME": {…}}}.';
    throw new SettingsError(path, '"profiles" is no object', advice);
  }
  return {
    default: parseEntry(path, "default", common),
    profiles: new Map(
      Object.entries(profiles).map(([name, entry]) => [
        profileName(path, name),
        parseEntry(path, `profiles.${name}`, entry),
      ]),
    ),
  };
}

/** The line at which the text stops to be JSON. The runtime's words quote the text, and are left out. */
function placeOfFault(text: string): string {
  try {
    JSON.parse(text);
    return "";
  } catch (error) {
    const [, line, column] = /\(line (\d+) column (\d+)\)/.exec((error as Error).message) ?? [];
    return line === undefined ? "" : `: see line ${line}, column ${column}`;
  }
}

function noPart(path: string, name: string): SettingsError {
  if ((SETTING_NAMES as readonly string[]).includes(name)) {
    const advice = `Put it there: ${EXAMPLE}.`;
    return new SettingsError(
      path,
      `"${name}" stands outside of "default" and of "profiles"`,
      advice,
    );
  }
  return unknownKey(path, name, "the file", PARTS);
}

function unknownKey(
  path: string,
  name: string,
  place: string,
  known: readonly string[],
): SettingsError {
  const near = didYouMean(name, known);
  const advice = `${near && `${near} `}It takes: ${known.join(", ")}.`;
  return new SettingsError(
    path,
    `${place} has ${shown(name, "a key")}, which is not known`,
    advice,
  );
}

function profileName(path: string, name: string): string {
  try {
    return checkProfile(name, "read");
  } catch {
    const reason = '"profiles" has a name other than 1 to 64 letters, digits and ". _ @ + -"';
    throw new SettingsError(path, reason, "Correct it.");
  }
}

function parseEntry(path: string, place: string, entry: unknown): SettingsEntry {
  if (!isObject(entry)) {
    throw new SettingsError(path, `"${place}" is no object`, `Write it like ${EXAMPLE}.`);
  }
  const checked = Object.entries(entry).map(([name, value]) => {
    if ((SETTING_NAMES as readonly string[]).includes(name)) {
      return [name, checkValue(path, place, name as SettingName, value)];
    }
    throw SECRET_NAME.test(name)
      ? secretKey(path, place, name)
      : unknownKey(path, name, `"${place}"`, SETTING_NAMES);
  });
  const settings: SettingsEntry = Object.fromEntries(checked);
  checkTogether(path, place, settings);
  return settings;
}

/** A key of the client is for that client alone, and options are for one backend. */
function checkTogether(path: string, place: string, entry: SettingsEntry): void {
  const file = entry.clientKeyFile === undefined ? "clientAssertionFile" : "clientKeyFile";
  if (entry.clientKeyFile !== undefined && entry.clientAssertionFile !== undefined) {
    const reason = `"clientKeyFile" and "clientAssertionFile" in "${place}" exclude each other`;
    throw new SettingsError(path, reason, "Give the one that the provider knows the client by.");
  }
  if (entry[file] !== undefined && (entry.issuer ?? entry.clientId) === undefined) {
    throw aloneIn(path, place, file, '"issuer" and "clientId"');
  }
  if (entry[file] !== undefined && (!entry.issuer || !entry.clientId)) {
    throw aloneIn(path, place, file, entry.issuer ? '"clientId"' : '"issuer"');
  }
  if (entry.backendOptions !== undefined && entry.backend === undefined) {
    throw aloneIn(path, place, "backendOptions", '"backend"');
  }
}

function aloneIn(path: string, place: string, name: string, other: string): SettingsError {
  const reason = `"${name}" in "${place}" stands without ${other}, which it belongs to`;
  return new SettingsError(path, reason, `Put ${other} beside it.`);
}

function checkValue(path: string, place: string, name: SettingName, value: unknown): unknown {
  const { kind } = settingOf(name);
  const where = `"${name}" in "${place}"`;
  const fault = faultOf(kind, value);
  if (fault !== undefined) {
    throw new SettingsError(path, `${where} is not ${fault}`, "Correct it, or leave it out.");
  }
  assertNoSecret(path, place, name, value);
  if (kind === "url") checkUrl(path, where, name, value as string);
  const isFile = kind === "file" || name === "backend" && isPathSpecifier(value as string);
  return isFile ? besideFile(path, value as string) : value;
}

/** A path from the folder of the settings file: the folder in which a command is run decides nothing. */
function besideFile(path: string, value: string): string {
  const whole = isAbsolute(value) ? value : join(folderOf(path), value);
  return isAbsolute(whole) ? whole : `./${whole}`;
}

/** The description of a fitting value; `undefined` where the value fits. */
function faultOf(kind: ReturnType<typeof settingOf>["kind"], value: unknown): string | undefined {
  if (typeof kind !== "string") {
    return kind.includes(value as string) ? undefined : `one of ${kind.join(", ")}`;
  }
  const isText = typeof value === "string" && value.trim() !== "";
  switch (kind) {
    case "boolean":
      return typeof value === "boolean" ? undefined : "true or false";
    case "object":
      return isObject(value) ? undefined : "an object";
    case "texts":
      return isObject(value) && Object.values(value).every((one) => typeof one === "string")
        ? undefined
        : "an object of strings";
    case "file":
      return isText && !/^(~[/\\]|file:)/.test(value)
        ? undefined
        : 'a path without "~/" and "file:"';
    default:
      return isText ? undefined : "a non-empty string";
  }
}

function checkUrl(path: string, where: string, name: SettingName, value: string): void {
  try {
    if (name === "issuer") checkIssuer(value, "", "it");
    else secureUrl(value, ": it");
  } catch (error) {
    const [, reason = "it is no URL", advice = "Correct it."] = /^Cannot : (.*?)\. (.*)$/s
      .exec((error as Error).message) ?? [];
    throw new SettingsError(path, `${where}: ${reason}`, advice);
  }
}

const SECRET_NAME = /token|secret|passw|passphrase|credential|api-?_?key|private-?_?key/i;
/** Names in a backend's options whose value is a secret itself, not the path or the name of one. */
const SECRET_OPTION = /(token|secret|secret_?id|passw(or)?d|passphrase|api_?key|private_?key)$/i;
/** A value that takes all from variables. */
const FROM_VARIABLES = /^(\$\{\w+\})+$/;
/** A password in an address, or a JWT. */
const SECRET_VALUE = /^[a-z][\w+.-]*:\/\/[^/?#\s]*:[^/?#\s]*@|^eyJ[\w-]+\.[\w-]+\./i;

const INSTEAD: Readonly<Record<string, string>> = {
  clientSecret: "Set the variable VM_OIDC_CLIENT_SECRET beside VM_OIDC_ISSUER and " +
    'VM_OIDC_CLIENT_ID, or give "clientKeyFile".',
  apiKey: "Set the variables VM_API_KEY and VM_API_SECRET.",
  apiSecret: "Set the variables VM_API_KEY and VM_API_SECRET.",
};

function secretKey(path: string, place: string, name: string): SettingsError {
  return new SettingsError(
    path,
    `"${place}" has ${shown(name, "a key")}, and the file is not for secrets`,
    INSTEAD[name] ??
      "Remove it: login keeps tokens in the store, and a secret of a backend goes into a variable, " +
        'such as {"token": "${MY_TOKEN}"} in "backendOptions".',
  );
}

/** Refuses a secret in a value. An object's values are looked at with their names. */
function assertNoSecret(path: string, place: string, name: string, value: unknown): void {
  if (isObject(value) || Array.isArray(value)) {
    for (const [inner, one] of Object.entries(value)) {
      assertNoSecret(path, place, `${name}.${inner}`, one);
    }
    return;
  }
  if (typeof value !== "string") return;
  const isOption = name.includes(".") && SECRET_OPTION.test(name) && !FROM_VARIABLES.test(value);
  if (!isOption && !SECRET_VALUE.test(value)) return;
  const isPlain = name.split(".").every((part) => /^\w{1,24}$/.test(part));
  throw new SettingsError(
    path,
    `${
      isPlain ? `"${name}"` : "a value"
    } in "${place}" has a secret in it, and the file is not for secrets`,
    name.startsWith("backendOptions.")
      ? "Put it into a variable, such as MY_SECRET, and write ${MY_SECRET} in its place; or name a " +
        "file, where the backend takes one."
      : "Leave it out.",
  );
}
