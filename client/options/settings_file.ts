import { checkOptions, type OptionTypes } from "../../backends/common/check_options.ts";
import type { ErrorParts } from "../../backends/credentials_backend_error.ts";
import {
  faultOfFolder,
  lookIfPresent,
  WRITABLE_FOR_OTHERS,
} from "../../backends/common/judge_path.ts";
import { readEnvIfGranted } from "../../backends/common/environment.ts";
import { isObject } from "../../backends/common/json.ts";
import { dirname, isAbsolute, join } from "../../backends/common/paths.ts";
import { isGranted, permissionFlag } from "../../backends/common/permission.ts";
import { printable } from "../../backends/common/printable.ts";
import { readPrivateFile } from "../../backends/common/read_private_file.ts";
import { ValidMindAuthError } from "../errors.ts";
import { optionTypes, SETTINGS, STORE_NAMES } from "./declaration.ts";
import { type Entry, type Settings, shown, usualSettingsPath } from "./settings_path.ts";

const TYPES = optionTypes(SETTINGS);
const ONLY: OptionTypes = { backends: "array", issuers: "array" };

/**
 * Reads a settings file.
 *
 * @throws {ValidMindAuthError} `settings_invalid` for a file that cannot be used.
 */
export function readSettingsFile(path: string): Settings {
  const settings = parseSettings(path, readText(path));
  return { path, state: "read", folder: assertInPlace(path, settings), ...settings };
}

/**
 * Refuses what a file may name only at its usual place, or where the superuser keeps it.
 *
 * @returns The folder that was looked at for that.
 */
export function assertInPlace(
  path: string,
  { common, profiles, only }: ReturnType<typeof parseSettings>,
): string | undefined {
  const entries = [common, only, ...profiles.values()];
  const outside = entries.flatMap((entry) => Object.keys(entry)).find(isOfUsualPlace);
  const usual = usualSettingsPath();
  const isUsual = usual !== undefined && join(path) === join(usual);
  if (outside === undefined || isUsual) return undefined;
  const folder = dirname(path);
  const named = `it names "${outside}"`;
  let reason = `${named}, and it is not at its usual place`;
  const file = lookIfPresent(path, Deno.statSync); // `config set` may be about to make it
  if (file === undefined || file.uid === 0) {
    if (!isGranted({ name: "read", path: folder })) {
      const flag = permissionFlag("read", folder);
      throw settingsError(path, reason, `To have its folder's owner checked, add ${flag}.`);
    }
    const fault = faultOfFolder(path, 0);
    if (fault === undefined) return folder;
    if (file !== undefined) reason = `${named}, and ${fault.reason}`;
  }
  const place = usual ?? "the usual settings file";
  const remedy =
    `Keep that in ${place}, or in a file and a folder of the superuser that nobody else ` +
    "may write.";
  throw settingsError(path, reason, remedy);
}

/** Whether a setting leads to a secret or to a program, or forbids something: a file that came with a folder may not have it. */
function isOfUsualPlace(name: string) {
  return name in ONLY || TYPES[name] === "path" || STORE_NAMES.some((one) => one === name);
}

/** The text of a file that is there. */
export function readText(path: string): string {
  return readPrivateFile(path, {
    forbiddenMode: WRITABLE_FOR_OTHERS, // it has no secrets: others may read it
    what: "a settings file",
    fail: (...why) => settingsError(path, ...why),
  });
}

const SECRET = /(token|secret|secret_?id|passw(or)?d|passphrase|api_?key|private_?key)$/i;
/** A value that takes all from variables. */
const FROM_VARIABLES = /^(\$\{\w+\})+$/;
const EXAMPLE = '{"issuer": "https://login.example.com", "clientId": "my-client"}';

/** Reads the text of a settings file. An error names the key, and shows no value. */
export function parseSettings(
  path: string,
  text: string,
): Pick<Settings, "common" | "profiles" | "only"> {
  const document = parseJson(path, text);
  JSON.stringify(document, (name, value) => {
    const fault = faultIn(name, value);
    if (fault !== undefined) throw settingsError(path, ...fault);
    return value;
  });
  const types = { ...TYPES, profiles: "object", only: "object" } as const;
  const { profiles, only = {}, ...common } = checkEntry(path, "", document, types);
  const entries = Object.entries(profiles ?? {});
  return {
    common,
    only: checkEntry(path, "", only, ONLY),
    profiles: new Map(entries.map(([name, entry]) => [name, checkEntry(path, name, entry, TYPES)])),
  };
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // Without the rest of the message, which quotes the file.
    const [place = ""] = / \(line \d+ column \d+\)/.exec((error as Error).message) ?? [];
    throw settingsError(path, `it is not JSON${place}`, `Write it like ${EXAMPLE}.`);
  }
}

/** The fault of one member, at any depth: a secret, a store of somebody's own, a program by its path. */
function faultIn(name: string, value: unknown): [reason: string, remedy: string] | undefined {
  const isSecret = typeof value === "string" && SECRET.test(name) && !FROM_VARIABLES.test(value);
  if (isSecret) {
    return [
      `${shown(name, "a key")} is a secret, and the file is not for secrets`,
      "Set its variable with those of the sign-in: VM_OIDC_CLIENT_SECRET with VM_OIDC_ISSUER and " +
      'VM_OIDC_CLIENT_ID, or "clientSecretFile". In "backendOptions" name a variable: "${MY_SECRET}".',
    ];
  }
  if (/^backends?$/.test(name) && [value].flat().some(isOwnStore)) {
    return [
      `"${name}" names a module, which only code and variables may name`,
      "Name a built-in store, or set VM_OIDC_DENO_CREDENTIALS_BACKEND.",
    ];
  }
  if (name === "program" && typeof value === "string" && /[/\\:$]/.test(value)) {
    return ['"program" is a path', "Give the program's name alone, as PATH has it."];
  }
  return undefined;
}

/** Whether a store is named by its module. */
function isOwnStore(store: unknown) {
  const { name = store } = Object(store);
  return typeof name === "string" && /[:#/\\$]/.test(name);
}

function checkEntry(path: string, profile: string, entry: unknown, types: OptionTypes): Entry {
  const place = profile && ` in the profile ${shown(profile, "of a long name")}`;
  const fail = (parts: ErrorParts) => new ValidMindAuthError("settings_invalid", parts);
  checkOptions(`use the settings file ${printable(path)}${place}`, entry, types, fail);
  const checked = { ...entry as Entry };
  if (checked.backendOptions !== undefined && checked.backend === undefined) {
    throw settingsError(
      path,
      `"backendOptions"${place} has no "backend" beside it`,
      "Set both, or take both out: config unset backend backendOptions.",
    );
  }
  for (const [name, value] of Object.entries(checked)) {
    // From the folder of the file: the folder in which a command is run decides nothing.
    if (TYPES[name] === "path") checked[name] = fromFolder(dirname(path), `${value}`);
  }
  if (checked.backendOptions !== undefined) {
    checked.backendOptions = filesFrom(dirname(path), checked.backend, checked.backendOptions);
  }
  return checked;
}

/** The options of a store, with its files from a folder. The `path` of a vault is no file. */
function filesFrom(folder: string, store: unknown, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => filesFrom(folder, store, item));
  if (!isObject(value)) return value;
  const members = Object.entries(value).map(([name, item]) => {
    const isFile = /^(file|lockFolder|caCert)$|File$/.test(name) ||
      name === "path" && store !== "vault";
    if (isFile && typeof item === "string") return [name, fromFolder(folder, item)];
    return [name, filesFrom(folder, name === "options" ? value.name : store, item)];
  });
  return Object.fromEntries(members);
}

/**
 * A path from a folder, where it is relative, also by its variables. `:memory:` is no file. The store
 * refuses one that only a shell or a browser would understand, and a variable that is not there.
 */
function fromFolder(folder: string, path: string) {
  const filled = path.replace(/\$\{(\w+)\}/g, (_, name) => readEnvIfGranted(name) ?? "");
  return isAbsolute(filled) || /^(~[/\\]|file:|%|:memory:$)/.test(path) ? path : join(folder, path);
}

function settingsError(path: string, reason: string, remedy: string, cause?: unknown) {
  const action = `use the settings file ${printable(path)}`;
  return new ValidMindAuthError("settings_invalid", { action, reason, remedy, cause });
}
