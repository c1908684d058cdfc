import { checkOptions, type OptionTypes } from "../../backends/common/check_options.ts";
import type { ErrorParts } from "../../backends/credentials_backend_error.ts";
import { faultOfFolder, lookIfPresent } from "../../backends/common/judge_path.ts";
import { dirname, isAbsolute, join } from "../../backends/common/paths.ts";
import { isGranted, permissionFlag } from "../../backends/common/permission.ts";
import { printable } from "../../backends/common/printable.ts";
import { readPrivateFile } from "../../backends/common/read_private_file.ts";
import { ValidMindAuthError } from "../errors.ts";
import { optionTypes, SETTINGS, STORE_NAMES } from "./declaration.ts";
import {
  denialOf,
  type Entry,
  FILE_LIMITS,
  type Settings,
  shown,
  usualSettingsPath,
} from "./settings_path.ts";

const TYPES = optionTypes(SETTINGS);
const ONLY: OptionTypes = { backends: "array", issuers: "array" };

/**
 * Reads a settings file, as far as Deno permits.
 *
 * @param isNamed Whether the call names the file, and so needs it.
 * @throws {ValidMindAuthError} `settings_invalid` for a file that cannot be used.
 */
export function readSettingsFile(path: string, isNamed: boolean): Settings {
  const { text, ...found } = readText(path, isNamed);
  const settings = parseSettings(path, text);
  assertInPlace(path, settings);
  return { path, ...found, ...settings };
}

/** Refuses what a file may name only at its usual place, or where the superuser keeps it. */
export function assertInPlace(
  path: string,
  { common, profiles, only }: ReturnType<typeof parseSettings>,
) {
  const entries = [common, only, ...profiles.values()];
  const outside = entries.flatMap((entry) => Object.keys(entry)).find(isOfUsualPlace);
  if (outside === undefined || isTrustedPlace(path)) return;
  const reason = `it names "${outside}", and it is not at its usual place`;
  throw settingsError(path, reason, placeAdvice(path));
}

/** Whether a setting leads to a secret or to a program, or forbids something: a file that came with a folder may not have it. */
function isOfUsualPlace(name: string) {
  return name in ONLY || TYPES[name] === "path" || STORE_NAMES.some((one) => one === name);
}

/** Whether nobody but the person and the superuser can have put a file there. */
function isTrustedPlace(path: string) {
  const usual = usualSettingsPath();
  if (usual !== undefined && join(path) === join(usual)) return true;
  if (![path, dirname(path)].every((place) => isGranted({ name: "read", path: place }))) {
    return false;
  }
  const file = lookIfPresent(path, Deno.statSync); // `config set` may be about to make it
  return faultOfFolder(path, 0) === undefined && (file === undefined || file.uid === 0);
}

function placeAdvice(path: string) {
  const folder = dirname(path);
  const place = usualSettingsPath() ?? "the usual settings file";
  const advice = `Keep that in ${place}, or in a file and a folder of the superuser`;
  if (isGranted({ name: "read", path: folder })) return `${advice}.`;
  return `${advice}, and run with ${permissionFlag("read", folder)}.`;
}

/** The text of the file, or the reason why it was left alone: a command can do without. */
export function readText(
  path: string,
  isNamed: boolean,
): Pick<Settings, "state" | "denial"> & { readonly text: string } {
  const text = "{}";
  const denied = { state: "denied", denial: denialOf(path), text } as const;
  if (path === "") return { state: "absent", text };
  // A command runs without it: nobody is asked.
  if (!isNamed && !isGranted({ name: "read", path })) return denied;
  const { NotADirectory, NotCapable, NotFound } = Deno.errors;
  try {
    const content = readPrivateFile(path, {
      ...FILE_LIMITS,
      what: "a settings file",
      fail: (...why) => settingsError(path, ...why),
    });
    return { state: "read", text: content };
  } catch (error) {
    const { cause } = error as Error;
    const isAbsent = cause instanceof NotFound || cause instanceof NotADirectory;
    if (!isNamed && isAbsent) return { state: "absent", text };
    if (!isNamed && cause instanceof NotCapable) return denied;
    throw error;
  }
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
  const faults: [reason: string, remedy: string][] = [];
  let document: unknown;
  try {
    document = JSON.parse(text, (name, value) => {
      const fault = faultIn(name, value);
      if (fault !== undefined) faults.push(fault);
      return value;
    });
  } catch (error) {
    // Without the rest of the message, which quotes the file.
    const [place = ""] = / \(line \d+ column \d+\)/.exec((error as Error).message) ?? [];
    throw settingsError(path, `it is not JSON${place}`, `Write it like ${EXAMPLE}.`);
  }
  for (const [reason, remedy] of faults) throw settingsError(path, reason, remedy);
  const types = { ...TYPES, profiles: "object", only: "object" } as const;
  const { profiles, only = {}, ...common } = checkEntry(path, "", document, types);
  const entries = Object.entries(profiles ?? {});
  return {
    common,
    only: checkEntry(path, "", only, ONLY),
    profiles: new Map(entries.map(([name, entry]) => [name, checkEntry(path, name, entry, TYPES)])),
  };
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
  checkOptions(`use the settings file ${printable(path, 500)}${place}`, entry, types, fail);
  const checked = { ...entry as Entry };
  if (checked.backendOptions !== undefined && checked.backend === undefined) {
    throw settingsError(path, `"backendOptions"${place} has no "backend" beside it`, "Give both.");
  }
  for (const [name, value] of Object.entries(checked)) {
    // From the folder of the file: the folder in which a command is run decides nothing.
    const isRelative = TYPES[name] === "path" && !isAbsolute(`${value}`);
    if (isRelative) checked[name] = join(dirname(path), `${value}`);
  }
  return checked;
}

function settingsError(path: string, reason: string, remedy: string, cause?: unknown) {
  const action = `use the settings file ${printable(path, 500)}`;
  return new ValidMindAuthError("settings_invalid", { action, reason, remedy, cause });
}
