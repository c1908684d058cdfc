import type { ErrorParts } from "../../backends/credentials_backend_error.ts";
import { readBackendChoice } from "../../backends/common/backend_choice.ts";
import { checkOptions, didYouMean, type OptionTypes } from "../../backends/common/check_options.ts";
import { readEnvIfGranted } from "../../backends/common/environment.ts";
import { dirname, isAbsolute, isPathSpecifier, join } from "../../backends/common/paths.ts";
import { isGranted } from "../../backends/common/permission.ts";
import { printable } from "../../backends/common/printable.ts";
import { readPrivateFile } from "../../backends/common/read_private_file.ts";
import { quoteArgument } from "../../backends/common/runtime.ts";
import type { NamedBackend } from "../../backends/resolve_credentials_backend.ts";
import { normalizeClientId, normalizeIssuer } from "../credential_key.ts";
import { ValidMindAuthError } from "../errors.ts";
import { OPTION_NAMES, type OptionRow, optionRow, OPTIONS, settingsPath } from "./declaration.ts";
import { CLIENT_AUTH, isNamedByEnv } from "./resolve_identity.ts";

/** One setting. */
type Setting = Pick<OptionRow<string>, "type" | "flag" | "variable">;

/** All settings, by their names in the file: what code and variables may give, but no secret. */
export const SETTINGS: Readonly<Record<string, Setting>> = {
  ...Object.fromEntries(
    OPTION_NAMES.map((name) => [name, optionRow(name) as OptionRow<string>] as const)
      .filter(([name, { group, secret }]) =>
        group !== "code" && !secret && name !== "profile" && name !== "apiUrl"
      ),
  ),
  backend: { type: "text", flag: "backend" },
  backendOptions: { type: "object", flag: "backend-options" },
};

const TYPES = Object.fromEntries(Object.entries(SETTINGS).map(([name, { type }]) => [name, type]));

/** A file without secrets, which others may read and must not write. Its size is more than enough. */
export const FILE_LIMITS = { maxBytes: 64 * 1024, forbiddenMode: 0o022 } as const;

/** Settings that are for the issuer and the client beside them, and for no others. */
const OF_SIGN_IN = ["audience", "scope", "apiHost", "model", ...CLIENT_AUTH, "subjectTokenFile"];

/** The options of the file itself, or of one profile. */
type Entry = Readonly<Record<string, unknown>>;

/**
 * The settings that apply to one call. An option or a flag wins over a variable, and a variable over the
 * file. The profile that an option or a flag names wins over variables, too: who types one means it,
 * whatever the shell has exported.
 */
export interface Settings {
  /** The place of the file, also where there is none; empty where it is turned off or not known. */
  readonly path: string;
  readonly state: "read" | "absent" | "denied";
  /** The reason and the remedy for a file that was left alone, in sentences. */
  readonly denial?: string;
  /** The profiles of the file. */
  readonly profiles: readonly string[];
  /** The profile whose settings apply, instead of those of the file itself. */
  readonly profile?: string;
  /** The settings in force. */
  readonly rows: readonly SettingRow[];
}

/** A setting with what decides about it: a flag, a variable, or the file. */
interface SettingRow {
  readonly name: string;
  readonly value: unknown;
  readonly source: string;
}

/** The source of a value that the file gives. */
const FILE = "settings file";
const UNUSED = `${FILE}, unused: not for the client or proof in force`;

/**
 * Reads the file, as far as Deno permits.
 *
 * @param given What the call gives itself, by the names of the settings.
 * @param named The file that the call names, in place of the usual one.
 * @throws {ValidMindAuthError} `settings_invalid` for a file that cannot be used.
 */
export function readSettings(given: Entry, named?: string): Settings {
  const path = named ?? settingsPath();
  const { text, ...found } = readText(path, named !== undefined);
  const { common, profiles } = parseSettings(path, text);
  const names = [...profiles.keys()];
  const profile = `${given.profile ?? readEnvIfGranted("VM_OIDC_PROFILE")?.trim() ?? ""}`;
  const own = profiles.get(profile);
  if (profile !== "" && own === undefined && names.length > 0) {
    const hint = didYouMean(profile, names) || `It has: ${names.join(", ")}.`;
    throw settingsError(path, `it has no profile ${shown(profile, "of that name")}`, hint);
  }
  const isTyped = own !== undefined && given.profile !== undefined;
  return {
    path,
    ...found,
    profiles: names,
    ...(own && { profile }),
    rows: decide(own ?? common, given, isTyped),
  };
}

/** The values about which the file decides. */
export function valuesOf({ rows }: Settings): Entry {
  const ofFile = rows.filter(({ source }) => source === FILE);
  return Object.fromEntries(ofFile.map(({ name, value }) => [name, value]));
}

/** The backend that the settings name. */
export function backendOf(settings: Settings): NamedBackend | undefined {
  const { profile, path } = settings;
  const { backend, backendOptions = {} } = valuesOf(settings);
  if (backend === undefined) return undefined;
  const place = `${profile === undefined ? "" : `of profile ${profile} `}in ${path}`;
  return {
    name: `${backend}`,
    options: JSON.stringify(backendOptions),
    origin: { name: `"backend" ${place}`, options: `"backendOptions" ${place}` },
  };
}

/** The text of the file, or the reason why it was left alone: a command can do without. */
export function readText(
  path: string,
  isNamed: boolean,
): Pick<Settings, "state" | "denial"> & { readonly text: string } {
  const text = "{}";
  if (path === "") return { state: "absent", text };
  // A command runs without it: nobody is asked.
  if (!isNamed && !isGranted({ name: "read", path })) {
    const flag = quoteArgument(`--allow-read=${path}`);
    const { message } = settingsError(path, "Deno does not permit it", `Run with ${flag}, too.`);
    return { state: "denied", denial: message, text };
  }
  const { NotADirectory, NotCapable, NotFound } = Deno.errors;
  let cause: unknown;
  try {
    const content = readPrivateFile(path, {
      ...FILE_LIMITS,
      what: "a settings file",
      fail: (reason, advice, ofDeno) => {
        cause = ofDeno;
        return settingsError(path, reason, advice);
      },
    });
    return { state: "read", text: content };
  } catch (error) {
    if (isNamed) throw error;
    if (cause instanceof NotFound || cause instanceof NotADirectory) {
      return { state: "absent", text };
    }
    if (!(cause instanceof NotCapable)) throw error;
    return { state: "denied", denial: (error as Error).message, text };
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
): { common: Entry; profiles: ReadonlyMap<string, Entry> } {
  const secrets: string[] = [];
  let document: unknown;
  try {
    document = JSON.parse(text, (name, value) => {
      if (typeof value !== "string" || !SECRET.test(name)) return value;
      return FROM_VARIABLES.test(value) ? value : void secrets.push(name);
    });
  } catch (error) {
    // Without the rest of the message, which quotes the file.
    const [place = ""] = / \(line \d+ column \d+\)/.exec((error as Error).message) ?? [];
    throw settingsError(path, `it is not JSON${place}`, `Write it like ${EXAMPLE}.`);
  }
  if (secrets[0] !== undefined) {
    const reason = `${shown(secrets[0], "a key")} is a secret, and the file is not for secrets`;
    const advice = "Put it into its variable, such as VM_OIDC_CLIENT_SECRET or VM_API_SECRET. In " +
      '"backendOptions" name a variable: "${MY_SECRET}".';
    throw settingsError(path, reason, advice);
  }
  const { profiles, ...common } = checkEntry(path, "", document, { ...TYPES, profiles: "object" });
  const entries = Object.entries(profiles ?? {});
  return {
    common,
    profiles: new Map(entries.map(([name, entry]) => [name, checkEntry(path, name, entry, TYPES)])),
  };
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
    const isPath = TYPES[name] === "path" || name === "backend" && isPathSpecifier(`${value}`);
    if (isPath && !isAbsolute(`${value}`)) checked[name] = join(dirname(path), `${value}`);
  }
  return checked;
}

function settingsError(path: string, reason: string, remedy: string): ValidMindAuthError {
  const action = `use the settings file ${printable(path, 500)}`;
  return new ValidMindAuthError("settings_invalid", { action, reason, remedy });
}

/** A word as an error shows it. A long or unusual word may be a misplaced secret. */
export function shown(word: string, otherwise: string): string {
  return /^[\w.:-]{1,24}$/.test(word) ? `"${word}"` : otherwise;
}

/** What decides about each setting. */
function decide(entry: Entry, given: Entry, isTyped: boolean): SettingRow[] {
  const isLeft = leftOf(entry, given, isTyped);
  const all = Object.entries<Setting>({ profile: OPTIONS.profile, ...SETTINGS });
  const rows = all.flatMap(([name, setting]): SettingRow[] => {
    const value = entry[name];
    const [variable, text] = variableOf(name, setting);
    if (given[name] !== undefined) {
      return [{ name, value: given[name], source: `--${setting.flag}` }];
    }
    if (value !== undefined && (isTyped || !variable) && !isLeft(name)) {
      return [{ name, value, source: FILE }];
    }
    if (variable !== undefined) return [{ name, value: text, source: variable }];
    return value === undefined ? [] : [{ name, value, source: UNUSED }];
  });
  // Options belong to the backend beside them.
  const isBackend = rows.some(({ name, source }) => name === "backend" && source === FILE);
  return rows.filter(({ name, source }) =>
    name !== "backendOptions" || source !== FILE || isBackend
  );
}

/** Which settings of the file are left, whatever their own variables say. */
function leftOf(entry: Entry, given: Entry, isTyped: boolean) {
  const { apiKey, apiSecret, apiSecretFile } = OPTIONS;
  const inForce = (name: "issuer" | "clientId") => {
    const ofShell = isTyped ? undefined : readEnvIfGranted(OPTIONS[name].variable);
    return `${given[name] ?? ofShell ?? entry[name]}`;
  };
  const issuer = normalizeIssuer(`${entry.issuer}`);
  const clientId = normalizeClientId(`${entry.clientId}`);
  const isOwn = entry.issuer !== undefined && entry.clientId !== undefined &&
    normalizeIssuer(inForce("issuer")) === issuer &&
    normalizeClientId(inForce("clientId")) === clientId;
  const isByKey = (given.apiKey ?? given.apiSecret ?? given.apiSecretFile) !== undefined ||
    !isTyped && (given.issuer ?? given.clientId) === undefined &&
      isSet(apiKey.variable) && [apiSecret, apiSecretFile].some((one) => isSet(one.variable));
  // One proof of the client is in force. Its variables are for the client that variables name.
  const isVariable = !isTyped && isNamedByEnv(issuer, clientId);
  const isProven = CLIENT_AUTH.some((name) =>
    given[name] !== undefined || isVariable && isSet(OPTIONS[name].variable)
  );
  return (name: string) =>
    isByKey && (name === "issuer" || name === "clientId") ||
    (isByKey || !isOwn) && OF_SIGN_IN.includes(name) ||
    isProven && (CLIENT_AUTH as readonly string[]).includes(name);
}

/** The variable that decides about a setting, if one does, and its value. */
function variableOf(name: string, { variable }: Setting): (string | undefined)[] {
  if (name.startsWith("backend")) {
    const { by, name: chosen, options } = readBackendChoice(readEnvIfGranted);
    if (name === "backend") return [by, chosen];
    return by !== undefined && isSet(options) ? [options, undefined] : [];
  }
  const found = (name === "apiHost" ? [OPTIONS.apiUrl.variable, variable] : [variable]).find(isSet);
  return found === undefined ? [] : [found, readEnvIfGranted(found)];
}

function isSet(variable: string | undefined): boolean {
  return variable !== undefined && readEnvIfGranted(variable) !== undefined;
}
