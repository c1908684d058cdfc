import { makeFolder, replaceFile } from "../../../backends/file/replace_file.ts";
import { resolveLink } from "../../../backends/file/file_access.ts";
import {
  folderOf,
  isPathSpecifier,
  readBackendChoice,
  readEnvIfGranted,
} from "../../../backends/common/platform.ts";
import { isObject, printable } from "../../../backends/common/printable.ts";
import { OPTION_NAMES, optionNamed, optionRow, OPTIONS } from "../../options/declaration.ts";
import { preflight } from "../../permissions/preflight.ts";
import { selectionNeeds } from "../../permissions/start_needs.ts";
import { shown, unknownWord, usageError } from "../cli_error.ts";
import { columns } from "../output.ts";
import { type Command, EXIT, type Invocation, printResult, PROGRAM } from "../command.ts";
import type { FlagName, FlagValues } from "../flags.ts";
import {
  parseSettings,
  readSettings,
  readText,
  SETTINGS,
  type Settings,
  WHOLE_PATH,
} from "../../options/settings_file.ts";
import { identityNeeds, OPTION_FLAGS } from "../sign_in_target.ts";

const WAYS = ["list", "path", "set", "unset"] as const;

export const config: Command = {
  name: "config",
  summary: "show and change the settings, and show where each comes from",
  details: [
    "A flag wins over a variable, and a variable over the settings file; a profile of the file that " +
    "--profile names wins over variables, too. Without --config the file is ~/.validmind/settings.json, " +
    "or the one that VM_AUTH_CONFIG names.",
    "list shows the settings that apply, and path prints the place of the file. set and unset change " +
    "the file, or its profile that --profile names.",
    `Names: ${
      Object.keys(SETTINGS).join(", ")
    }; or as the flags have them, such as client-id. A value ` +
    `that is no text is JSON. No secret belongs into the file.`,
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
  async run(invocation) {
    const { flags, output, args: [way = "list", ...words] } = invocation;
    const { path, fault } = settingsOf(flags);
    if (!(WAYS as readonly string[]).includes(way)) throw unknownWord(way, "config", WAYS);
    if (way === "set" || way === "unset") return await change(invocation, way, words);
    if (words.length > 0) throw usageError(`Cannot use config ${way} with a name. Leave it out.`);
    if (way === "path") output.print(`${placeOfFile(path)}\n`);
    else if (fault !== undefined) throw fault;
    else await list(invocation);
    return EXIT.ok;
  },
};

async function list(invocation: Invocation): Promise<void> {
  const { flags } = invocation;
  await preflight(config.action, [...identityNeeds(flags), ...selectionNeeds()], "always");
  const found = settingsOf(flags);
  const { state, path, profile, profiles, denial: reason } = found;
  const rows = settingRows(flags, found);
  const settings = Object.fromEntries(
    rows.map(([name, value, source]) => [name, { value: value ?? undefined, source }]),
  );
  const place = state === "absent" || path === "" ? `none: ${path || "it is turned off"}` : path;
  const applies = profile === undefined ? "" : `profile ${profile} applies; `;
  const names = profiles.length === 0 ? "" : ` (${applies}profiles: ${profiles.join(", ")})`;
  const text = [
    columns([["settings file", place + names]]),
    ...(reason === undefined ? [] : [`${reason}\n`]),
    rows.length === 0 ? "\nNothing is set.\n" : `\n${
      columns(rows.map(([name, value, source]) => [
        name,
        value === null ? "(set, not shown)" : printable(textOf(value), 500),
        source,
      ]))
    }`,
    ...(state === "absent" ? [`\nTo keep settings, run: ${PROGRAM} ${config.examples[1]}\n`] : []),
  ].join("");
  const file = { path: path || undefined, state, profile, profiles, reason };
  printResult(invocation, { file, settings }, text);
}

/** Changes the file, which is written whole, and only if it can be read afterwards. */
async function change(
  invocation: Invocation,
  way: "set" | "unset",
  words: readonly string[],
): Promise<number> {
  const { flags } = invocation;
  const path = placeOfFile(settingsOf(flags).path);
  const changes = way === "set" ? pairs(words) : words.map((word) => [word, undefined] as const);
  if (changes.length === 0) throw usageError(`Cannot ${way} a setting: no name is given. Give it.`);
  const reason = "to change the settings file";
  const access = [
    { name: "read", path, reason, need: "always" },
    { name: "write", path: folderOf(path), reason, need: "always" },
  ] as const;
  await preflight("change the settings", access, "always");
  const document = readDocument(path);
  const profile = flags.text("profile");
  const entry = profile === undefined ? document : profileOf(document, profile);
  const names = changes.map(([word, text]) => {
    const name = way === "unset" && Object.hasOwn(entry, word) ? word : settingName(word);
    if (text === undefined) delete entry[name];
    else entry[name] = parseValue(name, text);
    return name;
  });
  const text = `${JSON.stringify(document, null, 2)}\n`;
  parseSettings(path, text);
  makeFolder(folderOf(path));
  replaceFile(resolveLink(path), text, { isLocked: false });
  printResult(invocation, { path, names }, `${way} ${names.join(", ")} in ${path}\n`);
  return EXIT.ok;
}

function placeOfFile(path: string): string {
  if (path !== "") return path;
  const reason = "VM_AUTH_CONFIG is empty, or the home folder is not known";
  throw usageError(`Cannot find the settings file: ${reason}. Give --config.`);
}

function pairs(words: readonly string[]): (readonly [name: string, value: string])[] {
  const found: (readonly [string, string])[] = [];
  for (let at = 0; at < words.length; at += 2) {
    const [name = "", value] = words.slice(at, at + 2);
    if (value === undefined) {
      throw usageError(`Cannot set ${shown(name, "a setting")}: its value is missing. Give it.`);
    }
    found.push([name, value]);
  }
  return found;
}

/** The file as it stands, with keys that are not known, too. */
function readDocument(path: string): Record<string, unknown> {
  const { text, denial } = readText(path, false);
  if (denial !== undefined) throw usageError(`Cannot change the settings. ${denial}`);
  try {
    const document: unknown = JSON.parse(text);
    if (isObject(document)) return document;
  } catch {
    // The error below has the line.
  }
  parseSettings(path, text);
  return {};
}

/** The settings of a profile, made where it is new. */
function profileOf(document: Record<string, unknown>, name: string): Record<string, unknown> {
  const profiles = isObject(document.profiles) ? document.profiles : document.profiles = {};
  return (profiles as Record<string, Record<string, unknown>>)[name] ??= {};
}

/** The setting that a person names as the file or as a flag does. */
function settingName(word: string): string {
  const option = optionNamed(word);
  const own = Object.keys(SETTINGS).find((name) => name === option || name === word);
  if (own !== undefined) return own;
  const { variable } = option === undefined ? {} : optionRow(option);
  if (variable === undefined) throw unknownWord(word, "a setting", Object.keys(SETTINGS));
  throw usageError(`Cannot keep ${word} in the settings file. Set ${variable} instead.`);
}

function parseValue(name: string, text: string): unknown {
  const { type } = SETTINGS[name]!;
  const isPath = type === "path" || name === "backend" && isPathSpecifier(text);
  if (isPath && !WHOLE_PATH.test(text)) {
    throw usageError(`Cannot set ${name}: it is not a whole path. Give it from the root.`);
  }
  if (typeof type !== "string" || ["text", "string", "path"].includes(type)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text; // which is then refused by its type
  }
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The rows of all settings, and of the profile, which chooses among them. */
const ROWS: Readonly<Record<string, { flag?: string }>> = { profile: OPTIONS.profile, ...SETTINGS };

/** The settings that apply beside the flags. */
export function settingsOf(flags: FlagValues): Settings {
  const given = Object.entries(ROWS).flatMap(([name, row]) => {
    const flag = row.flag as FlagName | undefined;
    return flag !== undefined && flags.has(flag) ? [[name, flags.text(flag) ?? true]] : [];
  });
  const path = flags.text("config");
  return readSettings({ given: Object.fromEntries(given), takes: () => true, path });
}

/** What decides about a setting: a flag, a variable, or the file. */
export function sourceOf(name: string, { sources, path }: Settings): string {
  const source = sources[name]!;
  return source === "given" ? `--${ROWS[name]!.flag}` : source === path ? "settings file" : source;
}

/** Name, value and source of each setting. The value is `null` where it may be a secret. */
function settingRows(
  flags: FlagValues,
  found: Settings,
): [name: string, value: unknown, source: string][] {
  const { path, sources, values } = found;
  const valueOf = (name: string, source: string) => {
    if (source === path) return values[name];
    if (source === "given") return flags.text(ROWS[name]!.flag as FlagName) ?? true;
    if (name === "backend") return readBackendChoice(readEnvIfGranted).name;
    return name === "backendOptions" ? null : readEnvIfGranted(source);
  };
  const secrets = OPTION_NAMES.map(optionRow)
    .flatMap(({ secret, variable }) => secret && variable ? [variable] : [])
    .filter((variable) => readEnvIfGranted(variable) !== undefined);
  return [
    ...Object.entries(sources).map((
      [name, source],
    ): [string, unknown, string] => [name, valueOf(name, source), sourceOf(name, found)]),
    ...secrets.map((variable): [string, null, string] => [variable, null, variable]),
  ];
}
