import { printable } from "../../../backends/common/printable.ts";
import { quoteArgument } from "../../../backends/common/runtime.ts";
import { lackOfSettings } from "../../options/settings_path.ts";
import { preflight } from "../../permissions/preflight.ts";
import { selectionNeeds } from "../../permissions/start_needs.ts";
import { type Command, type CommandCall, PROGRAM, usageError } from "../command.ts";
import { CHANGE, changeSettings, type Pair } from "../config/change_settings.ts";
import { keepApi } from "../config/keep_api.ts";
import { CHANGE_FLAGS, type FlagValues } from "../flags.ts";
import { columns, note, printResult } from "../output.ts";
import { describeError, valueFlags } from "../report_error.ts";
import { chooseStore, identityNeeds, type SettingRow, settingsOf } from "../sign_in_target.ts";

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
    const { path, names, absent } = await changeSettings(flags, way, pairs);
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
  const names = profiles.length === 0
    ? ""
    : ` (${applies}profiles: ${printable(profiles.join(", "))})`;
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
  const inForce = Object.fromEntries(rows.map(({ name, value }) => [name, `${value}`]));
  const { issuer = "https://login.example.com", clientId = "my-client" } = inForce;
  const words = ["issuer", issuer, "client-id", clientId].map(quoteArgument);
  return `${PROGRAM} config set ${words.join(" ")}${valueFlags(flags, ["profile", "config"])}`;
}

function shownValue(value: unknown) {
  if (value === undefined) return "(set, not shown)";
  return printable(typeof value === "string" ? value : JSON.stringify(value));
}

function placeWords(path: string | undefined, isAbsent: boolean) {
  if (!isAbsent) return path ?? "not known";
  if (path !== undefined) return `${path} (not there)`;
  return `none: ${lackOfSettings()}`;
}
