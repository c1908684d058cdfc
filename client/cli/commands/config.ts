import { readEnvIfGranted } from "../../../backends/common/environment.ts";
import { isInKv } from "../../../backends/common/inner_stores.ts";
import { parseObject } from "../../../backends/common/json.ts";
import { dirname } from "../../../backends/common/paths.ts";
import { printable } from "../../../backends/common/printable.ts";
import { resolveLink } from "../../../backends/file/document.ts";
import { fileError } from "../../../backends/file/faults.ts";
import { makeFolder, replaceFile } from "../../../backends/file/replace_file.ts";
import { parseBackendSpec } from "../../../backends/load/create_backend.ts";
import {
  formatPermissionFlags,
  formatPermissionSet,
  type PermissionNeed,
} from "../../format_permissions.ts";
import { requiredPermissions } from "../../init.ts";
import { checkBrowserOptions } from "../../options/browser_options.ts";
import { OPTION_NAMES, optionNamed, optionRow, settingsPath } from "../../options/declaration.ts";
import { resolveOptions } from "../../options/resolve_options.ts";
import {
  parseSettings,
  readSettings,
  readText,
  SETTINGS,
  type Settings,
} from "../../options/settings_file.ts";
import { preflight } from "../../permissions/preflight.ts";
import { selectionNeeds, uniqueNeeds } from "../../permissions/start_needs.ts";
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
    "A flag wins over a variable, and a variable over the settings file. A profile that --profile names " +
    "wins over variables, too. The file is ~/.validmind/settings.json, or the one that VM_AUTH_CONFIG " +
    "or --config names.",
    "list shows the settings in force, and path prints the place of the file. set and unset change the " +
    "file, or the profile in it that --profile names.",
    `Names: ${Object.keys(SETTINGS).join(", ")}. The names of flags, such as client-id, serve as ` +
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
  run(flags, [way = "list", ...words]) {
    if (way === "set" || way === "unset") return change(flags, way, words);
    if (way !== "list" && way !== "path") {
      throw unknownWord(way, "config", ["list", "path", "set", "unset"]);
    }
    if (words.length > 0) {
      throw usageError(`Cannot use config ${way}: it takes no name. Leave it out.`);
    }
    if (way === "path") print(`${placeOfFile(flags)}\n`);
    else list(flags);
    return EXIT.ok;
  },
};

function list(flags: FlagValues): void {
  preflight(config.action, [...identityNeeds(flags), ...selectionNeeds()]);
  const { state, path, profile, profiles, denial: reason, rows } = settingsOf(flags);
  const secrets = OPTION_NAMES.map(optionRow).flatMap(({ secret, variable }) => {
    const isSet = secret && variable && readEnvIfGranted(variable) !== undefined;
    return isSet ? [{ name: variable, value: undefined, source: variable }] : [];
  });
  const all = [...rows, ...secrets];
  const place = state === "absent" ? `none: ${path || "it is turned off"}` : path;
  const applies = profile === undefined ? "" : `profile ${profile} applies; `;
  const names = profiles.length === 0 ? "" : ` (${applies}profiles: ${profiles.join(", ")})`;
  const text = [
    columns([["settings file", place + names]]),
    reason === undefined ? "\n" : `${reason}\n\n`,
    all.length === 0 ? "Nothing is set.\n" : columns(all.map(({ name, value, source }) => [
      name,
      value === undefined
        ? "(set, not shown)"
        : printable(typeof value === "string" ? value : JSON.stringify(value), 500),
      source,
    ])),
    state === "absent" ? `\nTo keep settings, run: ${PROGRAM} ${config.examples[1]}\n` : "",
  ].join("");
  const settings = Object.fromEntries(all.map(({ name, ...row }) => [name, row]));
  const file = { path: path || undefined, state, profile, profiles, reason };
  printResult(flags, { file, settings }, text);
}

const CHANGE = "change the settings";

/** Changes the file, which is written whole, and only if it can be read afterwards. */
function change(
  flags: FlagValues,
  way: "set" | "unset",
  words: readonly string[],
): number {
  const path = placeOfFile(flags);
  const step = way === "set" ? 2 : 1;
  if (words.length === 0 || words.length % step > 0) {
    throw usageError(`Cannot ${way} a setting: its name or value is missing. Give it.`);
  }
  const reason = "to change the settings file";
  preflight(CHANGE, [
    { name: "read", path, reason, need: "always" },
    { name: "write", path: dirname(path), reason, need: "always" },
  ]);
  const document = readDocument(path);
  const profile = flags.text("profile");
  const entry = profile === undefined ? document : profileOf(document, profile);
  const names: string[] = [];
  for (let at = 0; at < words.length; at += step) {
    const word = words[at]!;
    const name = way === "unset" && Object.hasOwn(entry, word) ? word : settingName(word);
    if (way === "unset") delete entry[name];
    else entry[name] = parseValue(name, words[at + 1]!);
    names.push(name);
  }
  if (profile !== undefined && Object.keys(entry).length === 0) {
    delete (document.profiles as Record<string, unknown>)[profile];
  }
  const text = `${JSON.stringify(document, null, 2)}\n`;
  const { common, profiles } = parseSettings(path, text);
  if (way === "set") checkValues({ profile, ...profiles.get(profile ?? "") ?? common });
  try {
    makeFolder(dirname(path));
    replaceFile(resolveLink(path), text, { isLocked: false });
  } catch (error) {
    throw fileError("write", path, error);
  }
  printResult(flags, { path, names }, `${way} ${names.join(", ")} in ${path}\n`);
  return EXIT.ok;
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
  if (denial !== undefined) throw usageError(denial);
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
  const options = { ...own, listen: "127.0.0.1:8765", ...values } as InitOptions;
  resolveOptions(options, CHANGE, true);
  checkBrowserOptions(options, CHANGE);
  if (backend !== undefined) parseBackendSpec(`${backend}`, "backend");
}

/** The setting that a person names as the file or as a flag does. */
function settingName(word: string): string {
  const names = Object.keys(SETTINGS);
  const found = names.find((name) => name === word || name === optionNamed(word));
  if (found === undefined) throw unknownWord(word, "a setting", names);
  return found;
}

function parseValue(name: string, text: string): unknown {
  const { type } = SETTINGS[name]!;
  if (!["boolean", "timeout", "texts", "object"].includes(`${type}`)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text; // which is then refused by its type
  }
}

/** The settings in force, with the flags. */
export function settingsOf(flags: FlagValues): Settings {
  const backend = { backend: flags.text("backend"), backendOptions: flags.text("backend-options") };
  const given = { ...sessionOptions(flags) as Record<string, unknown>, ...backend };
  return readSettings(given, flags.text("config"));
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

/**
 * Whether a need is used here: an optional variable if it is set, and the browser of --open or the
 * settings file, which may be written later.
 */
function isUsed(need: PermissionNeed): boolean {
  return need.need !== "optional" || need.name !== "env" ||
    readEnvIfGranted(need.variable!) !== undefined;
}
