import { HOME_VARIABLE } from "../../../backends/common/environment.ts";
import { parseObject } from "../../../backends/common/json.ts";
import {
  faultOfFolder,
  lookIfPresent,
  PathFault,
  WRITABLE_FOR_OTHERS,
} from "../../../backends/common/judge_path.ts";
import { dirname } from "../../../backends/common/paths.ts";
import { printable } from "../../../backends/common/printable.ts";
import { quoteArgument } from "../../../backends/common/runtime.ts";
import { withFileLock } from "../../../backends/file.ts";
import { resolveLink } from "../../../backends/file/document.ts";
import { fileError, refuse } from "../../../backends/file/faults.ts";
import { replaceFile } from "../../../backends/file/replace_file.ts";
import { parseBackendSpec } from "../../../backends/load/create_backend.ts";
import { normalizeIssuer } from "../../credential_key.ts";
import { ValidMindAuthError } from "../../errors.ts";
import { discoverApi } from "../../init.ts";
import { checkBrowserOptions } from "../../options/browser_options.ts";
import {
  type OptionName,
  optionNamed,
  optionRow,
  OPTIONS,
  type SettingName,
  SETTINGS,
} from "../../options/declaration.ts";
import { findOrigin, SETTINGS_FILE } from "../../options/places.ts";
import { resolveOptions } from "../../options/resolve_options.ts";
import { assertInPlace, parseSettings, readSettingsText } from "../../options/settings_file.ts";
import { CONFIG_VARIABLE, lackOfSettings, settingsPath } from "../../options/settings_path.ts";
import { preflight } from "../../permissions/preflight.ts";
import type { PermissionNeed } from "../../format_permissions.ts";
import { env, selectionNeeds } from "../../permissions/start_needs.ts";
import { type Command, type CommandCall, PROGRAM, usageError } from "../command.ts";
import { CHANGE_FLAGS, FlagValues } from "../flags.ts";
import { columns, note, printResult, toJsonText } from "../output.ts";
import { describeError, valueFlags } from "../report_error.ts";
import { unknownWord } from "../unknown_word.ts";
import {
  chooseStore,
  identityNeeds,
  sessionOptions,
  type SettingRow,
  settingsOf,
} from "../sign_in_target.ts";

const CHANGE = "change the settings";

export async function run({ flags, args, command }: CommandCall) {
  const [way = "list", ...words] = args;
  const misuse = () =>
    usageError(
      "Cannot use config like this: a word or a flag is unknown, missing or too many. " +
        `Give it as config ${command.args}.`,
    );
  if (way === "set" || way === "unset") {
    const pairs = way === "set" ? pairsOf(words) : words.map((word): Pair => [word, ""]);
    const isTaken = flags.keys().every((flag) => CHANGE_FLAGS.includes(flag)); // any other one is not
    if (!isTaken || pairs.at(-1)?.[1] === undefined) throw misuse();
    const { path, names, absent } = await change(flags, way, pairs);
    const profile = flags.text("profile");
    const place = profile === undefined ? path : `the profile ${profile} of ${path}`;
    const lines = [
      ...names.map((name) => `${way} ${name} in ${place}\n`),
      ...absent.map((name) => `${name}: not in ${place}; see ${PROGRAM} config\n`),
    ];
    printResult(flags, { path, names }, lines.join(""));
    if (names.some((name) => name.startsWith("backend"))) {
      // The next start refuses such a store. Options that it lacks may be set later.
      await chooseStore(flags, "use the store of the settings").catch((error) =>
        note(`warning: ${describeError(error, flags).message}\n`)
      );
    }
    return;
  }
  if (way === "discover" && words.length === 1) await keepApi(flags, words[0]!, CHANGE);
  else if (way !== "list" || words.length > 0) throw misuse();
  await list(flags, command);
}

/** A setting by its name, and its value; there is none where that is missing. */
type Pair = readonly [name: string, value?: string];

/** Names with their values. A value is the next word, or stands after "=". */
function pairsOf([word, ...rest]: readonly string[]): Pair[] {
  if (word === undefined) return [];
  const [, name = word, value = rest.shift()] = /^([^=]+)=(.*)$/s.exec(word) ?? [];
  return [[name, value], ...pairsOf(rest)];
}

async function list(flags: FlagValues, { action }: Command) {
  preflight(action, [...identityNeeds(flags), ...selectionNeeds()]);
  const { denial: reason, rows, ...file } = await settingsOf(flags, action);
  const { path, state, profile, profiles } = file;
  const place = placeWords(path, state === "absent");
  const applies = profile === undefined ? "" : `profile ${profile} applies; `;
  const names = profiles.length === 0 ? "" : ` (${applies}profiles: ${profiles.join(", ")})`;
  const shownRows = rows.map(({ name, value, source }) => [name, shownValue(value), source]);
  // A secret, whose value is not shown, is an API key where there is no issuer.
  const hasSignIn = rows.some(({ name, value }) => name === "issuer" || value === undefined);
  const isToKeep = path !== undefined && (state === "absent" || !hasSignIn);
  const text = [
    columns([["settings file", place + names]]),
    reason === undefined ? "\n" : `${reason}\n\n`,
    rows.length === 0 ? "Nothing is set.\n" : columns(shownRows),
    isToKeep ? `\nTo keep settings, run: ${keepLine(rows, flags)}\n` : "",
  ].join("");
  const settings = Object.fromEntries(rows.map(({ name, ...row }) => [name, row]));
  printResult(flags, { file: { ...file, reason }, settings }, text);
}

/** The command that keeps the sign-in in force; where there is none, one to fill in. */
function keepLine(rows: readonly SettingRow[], flags: FlagValues) {
  const values = { issuer: "https://login.example.com", clientId: "my-client" };
  const inForce = rows.map(({ name, value }) => [name, value]);
  const { issuer, clientId } = { ...values, ...Object.fromEntries(inForce) };
  const words = ["issuer", issuer, "client-id", clientId].map(quoteArgument);
  return `${PROGRAM} config set ${words.join(" ")}${valueFlags(flags, ["profile", "config"])}`;
}

function shownValue(value: unknown) {
  if (value === undefined) return "(set, not shown)";
  return printable(typeof value === "string" ? value : JSON.stringify(value));
}

/**
 * Asks an API how to sign in to it, and keeps that in the settings once the person has confirmed the issuer.
 * The API names it, and only the address is the person's own.
 *
 * @returns The flags, with the sign-in that was found.
 */
export async function keepApi(
  flags: FlagValues,
  address: string,
  action: string,
): Promise<FlagValues> {
  const kept = profileOf(readSettingsDocument(placeOfFile(flags)), flags.text("profile"));

  const { issuers, options } = await discoverApi(address);
  note(toJsonText({ issuers, ...options }, 2));
  const named = flags.text("issuer") ?? kept.issuer ?? askIssuer(issuers);
  const issuer = issuers.find((one) => isSame(one, named));
  if (issuer === undefined && kept.issuer !== named) {
    const fault = named ? `${named} is not an issuer of the API` : "nobody confirmed the issuer";
    throw usageError(`Cannot ${action}: ${fault}. Give one as --issuer: ${issuers.join(", ")}`);
  }
  const own = Object.fromEntries(Object.entries(sessionOptions(flags)).filter(isKept));
  const { audience = kept.apiHost } = kept; // an address may be that of an endpoint of the API
  if (!isSame(audience, own.audience ?? options.audience) || !isSame(kept.issuer, issuer)) {
    throw usageError(
      `Cannot ${action}: the settings are of another API or issuer. Give another --profile NAME for ` +
        `this one, or take them out:\n  ${PROGRAM} config unset issuer apiHost audience` +
        valueFlags(flags, ["profile", "config"]),
    );
  }
  const clientId = flags.text("client-id") ?? kept.clientId;
  if (clientId === undefined) {
    throw usageError(
      `Cannot ${action}: no client is known. Give --client-id, or send this to the administrator of the API:\n` +
        "Which public client may sign in so, with a device code or the redirect URI?\n" +
        Object.entries({ ...options, issuer, "redirect URI": "http://127.0.0.1/callback" })
          .map((fact) => fact.join(": ")).join("\n"),
    );
  }

  const found = { ...options, ...own, issuer, clientId };
  await change(flags, "set", Object.entries(found).map(([name, value]) => [name, `${value}`]));
  await tellVariables(flags, action, found);
  return new FlagValues(flags).set("issuer", [`${issuer}`]).set("client-id", [`${clientId}`]);
}

/** Tells of variables that win over what was kept: the next command would use another sign-in. */
async function tellVariables(
  flags: FlagValues,
  action: string,
  kept: Readonly<Record<string, unknown>>,
) {
  const places = { profile: flags.text("profile"), [SETTINGS_FILE]: flags.text("config") };
  const { origin } = await findOrigin(places, CHANGE);
  const inTheWay = ["apiKey", "apiUrl", ...Object.keys(kept)].flatMap((name) => {
    const found = origin.find(name as OptionName);
    if (found === undefined || isSame(found.value, kept[name])) return [];
    // A profile that no flag has named.
    if (found.place.kind === "profile") return OPTIONS.profile.variable;
    return found.from;
  });
  if (inTheWay.length === 0) return;
  const variables = [...new Set(inTheWay)].join(" ");
  const advice = `variables win over the settings that were kept. Run:\n  unset ${variables}\n` +
    "or give --profile NAME here and to each command.";
  if (action !== CHANGE) throw usageError(`Cannot ${action}: ${advice}`);
  note(`Note: ${advice}\n`);
}

/** Whether an option of a flag is kept: all that a settings file has, but for what is for one sign-in. */
function isKept([name, value]: [string, unknown]) {
  const isOnce = name === "openBrowser" || typeof value === "object";
  return !isOnce && SETTINGS.some((one) => one === name);
}

/** Asks for one of the issuers. Enter alone confirms none. */
function askIssuer([first = "", ...others]: readonly string[]) {
  const choice = others.length > 0 ? ", or type another of the issuers" : "";
  const answer = prompt(`Sign in at ${first}? If you know it, answer y${choice}:`);
  // Ctrl-C. Without a terminal nobody was asked, and the error has the flag.
  if (answer === null && Deno.stdin.isTerminal()) throw new DOMException("", "AbortError");
  return answer?.replace(/^y(es)?$/i, first) ?? "";
}

/** Whether two addresses are the same. One that is not kept yet may be any. */
function isSame(one: unknown, other: unknown) {
  return normalizeIssuer(`${one ?? other}`) === normalizeIssuer(`${other}`);
}

function placeWords(path: string | undefined, isAbsent: boolean) {
  if (!isAbsent) return path ?? "not known";
  if (path !== undefined) return `${path} (not there)`;
  return `none: ${lackOfSettings()}`;
}

/** Changes the file, which is written whole, and only if it can be read afterwards. */
async function change(
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
    const isClosed = () => ((lookIfPresent(`${file}.tmp`)?.mode ?? 0) & WRITABLE_FOR_OTHERS) === 0;
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
  const reason = "to change the settings file";
  const folder = { path: dirname(path), reason, need: "always" } as const;
  return [...needs, { name: "read", ...folder }, { name: "write", ...folder }];
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

function parseValue(name: SettingName, text: string): unknown {
  const { type } = optionRow(name);
  if (text.trim() === "" && type !== "string") {
    throw usageError(
      `Cannot set ${name}: its value is empty. To take it out, use config unset ${name}.`,
    );
  }
  const isObject = type === "texts" || type === "object";
  if (!isObject && type !== "boolean" && type !== "timeout") return text;
  try {
    return JSON.parse(text);
  } catch {
    if (!isObject) return text; // which is then refused by its type
    const form = `Write it like '{"name":"value"}'`;
    throw usageError(`Cannot ${CHANGE}: the value of ${name} is not JSON. ${form}.`);
  }
}
