import { messageOf } from "../../../backends/credentials_backend_error.ts";
import { readEnvIfGranted } from "../../../backends/common/environment.ts";
import { isInKv } from "../../../backends/common/inner_stores.ts";
import { parseObject } from "../../../backends/common/json.ts";
import { dirname } from "../../../backends/common/paths.ts";
import { printable } from "../../../backends/common/printable.ts";
import { withFileLock } from "../../../backends/file.ts";
import { fileError, resolveLink } from "../../../backends/file/document.ts";
import { replaceFile } from "../../../backends/file/replace_file.ts";
import { parseBackendSpec } from "../../../backends/load/create_backend.ts";
import {
  formatPermissionFlags,
  formatPermissionSet,
  type PermissionNeed,
} from "../../format_permissions.ts";
import { requiredPermissions } from "../../init.ts";
import { checkBrowserOptions } from "../../options/browser_options.ts";
import {
  OPTION_NAMES,
  optionNamed,
  type SettingName,
  settingRow,
  STORE_NAMES,
} from "../../options/declaration.ts";
import type { Found, Passed } from "../../options/origin.ts";
import { findOrigin } from "../../options/places.ts";
import { resolveOptions } from "../../options/resolve_options.ts";
import { parseSettings, readText, SETTINGS } from "../../options/settings_file.ts";
import { CONFIG_VARIABLE, settingsPath, USUAL_SETTINGS } from "../../options/settings_path.ts";
import { preflight } from "../../permissions/preflight.ts";
import { selectionNeeds, SETTINGS_REASON, uniqueNeeds } from "../../permissions/start_needs.ts";
import type { InitOptions } from "../../session_options.ts";
import {
  columns,
  type Command,
  EXIT,
  type FlagValues,
  print,
  printResult,
  PROGRAM,
  SPECIFIER,
  unknownWord,
  usageError,
} from "../command.ts";
import {
  chooseBackend,
  fileNeeds,
  identityNeeds,
  OPTION_FLAGS,
  sessionOptions,
  SIGN_IN_FLAGS,
} from "../sign_in_target.ts";

export const config: Command = {
  name: "config",
  summary: "show and change the settings, with the source of each",
  details: [
    "Values come from flags, else from the profile that --profile or VM_OIDC_PROFILE names, else from " +
    "variables, else from the file. A place that names another issuer, client or API key than those " +
    `above it is passed over. The file is ${USUAL_SETTINGS}, or the one that ${CONFIG_VARIABLE} or ` +
    "--config names.",
    "list shows the settings in force, and path prints the place of the file. set and unset change the " +
    "file, or the profile in it that --profile names.",
    `Names: ${SETTINGS.join(", ")}. The names of flags, such as client-id, serve as ` +
    `well. A value that is not a text is JSON. The file must hold no secret.`,
  ],
  args: "[list | path | set NAME VALUE… | unset NAME…]",
  flags: [...OPTION_FLAGS, "json"],
  examples: [
    "config",
    "config set issuer https://login.example.com client-id my-client",
    "config set api-host https://api.example.com/v1/ --profile staging",
    "config unset api-host",
    "config list --json | jq -r .file.path",
  ],
  action: "show the settings",
  async run(flags, [way = "list", ...words]) {
    if (way === "set" || way === "unset") return await change(flags, way, words);
    if (way !== "list" && way !== "path") {
      throw unknownWord(way, "config", ["list", "path", "set", "unset"]);
    }
    if (words.length > 0) {
      throw usageError(`Cannot use config ${way}: it takes no name. Leave it out.`);
    }
    if (way === "path") print(`${placeOfFile(flags)}\n`);
    else await list(flags);
    return EXIT.ok;
  },
};

async function list(flags: FlagValues): Promise<void> {
  preflight(config.action, [...identityNeeds(flags), ...selectionNeeds()]);
  const { denial: reason, rows, ...file } = await settingsOf(flags, config.action);
  const { path, state, profile, profiles } = file;
  const place = state === "absent" ? `none: ${path ?? "it is turned off"}` : path ?? "not known";
  const applies = profile === undefined ? "" : `profile ${profile} applies; `;
  const names = profiles.length === 0 ? "" : ` (${applies}profiles: ${profiles.join(", ")})`;
  const shownRows = rows.map(({ name, value, source }) => [name, shownValue(value), source]);
  const text = [
    columns([["settings file", place + names]]),
    reason === undefined ? "\n" : `${reason}\n\n`,
    rows.length === 0 ? "Nothing is set.\n" : columns(shownRows),
    state === "absent" ? `\nTo keep settings, run: ${PROGRAM} ${config.examples[1]}\n` : "",
  ].join("");
  const settings = Object.fromEntries(rows.map(({ name, ...row }) => [name, row]));
  printResult(flags, { file: { ...file, reason }, settings }, text);
}

function shownValue(value: unknown): string {
  if (value === undefined) return "(set, not shown)";
  return printable(typeof value === "string" ? value : JSON.stringify(value), 500);
}

/** A setting as a report shows it: its value, and the flag, variable or file that gives it. */
interface SettingRow {
  readonly name: string;
  readonly value: unknown;
  readonly source: string;
}

/** The settings in force, with the flags; and those that do not count, with the reason. */
export async function settingsOf(flags: FlagValues, action: string) {
  const store = { backend: flags.text("backend"), backendOptions: flags.text("backend-options") };
  const given = { ...sessionOptions(flags), ...store };
  const { origin, settings, profile } = await findOrigin(given, action);
  origin.complete({}, action, () => true); // a variable that does not fit is an error
  const place = origin.placeOfStore();
  const ofOptions = OPTION_NAMES.map((name) => [name, origin.find(name) ?? origin.passed(name)]);
  const ofStore = STORE_NAMES.map((name) => [name, place?.find(name)]);
  const { path, state, denial, profiles } = settings;
  return {
    path: path || undefined,
    state,
    profile,
    profiles: [...profiles.keys()],
    denial: denial && messageOf(denial),
    rows: ([...ofOptions, ...ofStore] as [SettingName, Found | Passed | undefined][]).flatMap(
      rowOf,
    ),
  };
}

function rowOf([name, found]: [SettingName, Found | Passed | undefined]): SettingRow[] {
  if (found === undefined) return [];
  const { value, from } = found;
  const source = "because" in found ? `${from}, unused: ${found.because}` : from;
  const isSecret = "secret" in settingRow(name);
  return [isSecret ? { name: from, value: undefined, source } : { name, value, source }];
}

const CHANGE = "change the settings";

/** Changes the file, which is written whole, and only if it can be read afterwards. */
async function change(
  flags: FlagValues,
  way: "set" | "unset",
  words: readonly string[],
): Promise<number> {
  const path = placeOfFile(flags);
  const step = way === "set" ? 2 : 1;
  if (words.length === 0 || words.length % step > 0) {
    throw usageError(`Cannot ${way} a setting: its name or value is missing. Give it.`);
  }
  const reason = "to change the settings file";
  const folder = dirname(path);
  preflight(CHANGE, [
    { name: "read", path: folder, reason, need: "always" }, // also for its lock
    { name: "write", path: folder, reason, need: "always" },
  ]);
  const change = { path, way, words, profile: flags.text("profile") };
  // Two at once would lose one of the changes.
  const names = await withFileLock(path, "settings", () => Promise.try(changeFile, change));
  printResult(flags, { path, names }, `${way} ${names.join(", ")} in ${path}\n`);
  return EXIT.ok;
}

interface Change {
  readonly path: string;
  readonly way: "set" | "unset";
  readonly words: readonly string[];
  readonly profile: string | undefined;
}

/** Changes the file under its lock, and gives the names of the settings. */
function changeFile({ path, way, words, profile }: Change): string[] {
  const document = readDocument(path);
  const entry = profile === undefined ? document : profileOf(document, profile);
  const names: string[] = [];
  const step = way === "set" ? 2 : 1;
  for (let at = 0; at < words.length; at += step) {
    const word = words[at]!;
    const name = way === "unset" && Object.hasOwn(entry, word) ? word : settingName(word);
    if (way === "unset") delete entry[name];
    else entry[name] = parseValue(name as SettingName, words[at + 1]!);
    names.push(name);
  }
  if (profile !== undefined && Object.keys(entry).length === 0) {
    delete (document.profiles as Record<string, unknown>)[profile];
  }
  const text = `${JSON.stringify(document, null, 2)}\n`;
  const { common, profiles } = parseSettings(path, text);
  if (way === "set") checkValues({ profile, ...profiles.get(profile ?? "") ?? common });
  try {
    replaceFile(resolveLink(path), text);
  } catch (error) {
    throw fileError("write", path, error);
  }
  return names;
}

function placeOfFile(flags: FlagValues): string {
  const path = flags.text("config") ?? settingsPath();
  if (path !== "") return path;
  throw usageError(
    "Cannot find the settings file: VM_AUTH_CONFIG is empty, or the home folder is not known. Give " +
      "--config.",
  );
}

/** The file as it stands, with keys that are not known, too. */
function readDocument(path: string): Record<string, unknown> {
  const { text, denial } = readText(path, false);
  if (denial !== undefined) throw usageError(messageOf(denial));
  const document = parseObject(text);
  if (document === undefined) parseSettings(path, text); // the error has the line
  return document ?? {};
}

/** The settings of a profile, made where it is new. */
function profileOf(document: Record<string, unknown>, name: string): Record<string, unknown> {
  // Without a prototype: a profile may have the name "constructor".
  const profiles = Object.assign(Object.create(null), document.profiles);
  document.profiles = profiles;
  return profiles[name] = { ...profiles[name] };
}

/** The checks of a sign-in. What it also needs may be set later. */
function checkValues({ backend, ...values }: Readonly<Record<string, unknown>>): void {
  const own = { issuer: "https://login.example.com", clientId: "my-client", model: "cl123" };
  const api = { apiHost: "https://api.example.com/", listen: "127.0.0.1:8765" };
  const options = { ...own, ...api, ...values } as InitOptions;
  resolveOptions(options, CHANGE, true);
  checkBrowserOptions(options, CHANGE);
  if (backend !== undefined) parseBackendSpec(`${backend}`, "backend");
}

/** The setting that a person names as the file or as a flag does. */
function settingName(word: string): SettingName {
  const found = SETTINGS.find((name) => name === word || name === optionNamed(word));
  if (found === undefined) throw unknownWord(word, "a setting", SETTINGS);
  return found;
}

function parseValue(name: SettingName, text: string): unknown {
  const { type } = settingRow(name);
  if (!["boolean", "timeout", "texts", "object"].includes(`${type}`)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text; // which is then refused by its type
  }
}

export const permissions: Command = {
  name: "permissions",
  summary: "list the exact Deno flags that a script or this program needs",
  details: [
    "Reads the same options and variables as the script. Uses no network, unless " +
    "--discover is given. An optional variable is listed if it is set here. Run it with " +
    "--allow-env, or with -A.",
  ],
  flags: [
    "for",
    ...SIGN_IN_FLAGS,
    "redirect-uri",
    "listen",
    "open",
    "api-host",
    "discover",
    "json",
  ],
  examples: [
    "permissions --api-host https://api.example.com/v1/",
    "permissions --for cli",
    "permissions --for cli --backend kv --backend-options kv.json",
  ],
  action: "name the permissions",
  async run(flags) {
    const kind = flags.text("for") ?? "script";
    const isCli = kind === "cli";
    if (!isCli && flags.has("config")) {
      throw usageError(
        `Cannot use --config with --for ${kind}: a script takes no flag. Set VM_AUTH_CONFIG instead.`,
      );
    }
    const chosen = await chooseBackend(flags, permissions.action, identityNeeds(flags));
    const isGiven = isCli || flags.has("backend");
    const needs = uniqueNeeds([
      ...(isCli ? [...fileNeeds(flags), ...chosen.needs] : []),
      ...await requiredPermissions({
        ...sessionOptions(flags),
        credentialsBackend: isGiven ? chosen.backend : undefined,
      }, { call: kind === "init" ? "init" : "createSession", discover: flags.has("discover") }),
    ]);
    const required = needs.filter(isUsed);
    const optional = formatPermissionFlags(needs.filter((need) => !isUsed(need)));
    const later = formatPermissionFlags(needs.filter(({ need }) => need === "sign_in"));
    const unstable = isInKv(chosen.backend) ? "--unstable-kv " : "";
    const denoFlags = (unstable + formatPermissionFlags(required)).trimEnd();
    const set = formatPermissionSet(required);
    const json = {
      flags: denoFlags,
      optionalFlags: optional,
      ...JSON.parse(set),
      needs,
    };
    // --force: an installation with other flags is replaced.
    const line = isCli
      ? `deno install --global --no-config --force --name ${PROGRAM} ${denoFlags} ${SPECIFIER}`
      : `deno run ${denoFlags} script.ts`;
    const text = `${line.replace("  ", " ")}\n` +
      (later && `\nOnly to sign in or refresh:\n  ${later}\n`) +
      (optional && `\nOptional, and not set here:\n  ${optional}\n`) +
      `\nThe same as a permission set in deno.json, for deno run -P=validmind:\n${set}\n`;
    printResult(flags, json, text);
    return EXIT.ok;
  },
};

/** Whether a need is used here: an optional variable if it is set, and the settings file if it is there. */
function isUsed(need: PermissionNeed): boolean {
  if (need.need !== "optional") return true;
  if (need.name === "env") return readEnvIfGranted(need.variable!) !== undefined;
  return need.reason !== SETTINGS_REASON ||
    isThere(`${(need as Deno.ReadPermissionDescriptor).path}`);
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false; // or nobody can tell
  }
}
