import { VERSION } from "../signed_in/session.ts";
import { type Command, EXIT, type FlagName, FLAGS, FlagValues, PROGRAM } from "./command.ts";
import { api } from "./commands/api.ts";
import { config } from "./commands/config.ts";
import { doctor } from "./commands/doctor.ts";
import { exec } from "./commands/exec.ts";
import { completionsCommand, helpText } from "./commands/help.ts";
import { list } from "./commands/list.ts";
import { login } from "./commands/login.ts";
import { logout } from "./commands/logout.ts";
import { migrate } from "./commands/migrate.ts";
import { permissions } from "./commands/permissions.ts";
import { status } from "./commands/status.ts";
import { token } from "./commands/token.ts";
import { shown } from "../options/settings_file.ts";
import { preflight } from "../permissions/preflight.ts";
import { note, print, unknownWord, usageError } from "./output.ts";
import { fileNeeds } from "./sign_in_target.ts";
import { reportError } from "./report_error.ts";

/** All commands. Parsing, help, completions and the reference are made from this table. */
export const COMMANDS: readonly Command[] = [
  login,
  status,
  list,
  token,
  exec,
  api,
  logout,
  migrate,
  doctor,
  config,
  permissions,
  completionsCommand(() => COMMANDS),
];

/** Runs the command that the arguments name and returns the exit code. Never throws. */
export async function main(args: readonly string[]): Promise<number> {
  let line: CommandLine | undefined;
  try {
    line = parseCommandLine(args, COMMANDS);
    const { command, flags } = line;
    if (flags.has("version")) {
      print(`${PROGRAM} ${VERSION}\n`);
      return EXIT.ok;
    }
    if (command === undefined || flags.has("help")) {
      const text = helpText(command, COMMANDS);
      if (args.length > 0) print(text);
      else note(text);
      return args.length > 0 ? EXIT.ok : EXIT.usage;
    }
    preflight(command.action, fileNeeds(flags), "always");
    return await command.run(line);
  } catch (error) {
    const flags = line?.flags;
    const isJson = flags?.has("json") ?? args.includes("--json");
    const command = args.find((word) => COMMANDS.some(({ name }) => name === word));
    return reportError(error, { isJson, command, flags });
  }
}

export interface CommandLine {
  /** Absent where help or the version is all that is asked for. */
  readonly command: Command | undefined;
  readonly flags: FlagValues;
  readonly args: readonly string[];
}

/**
 * Parses the arguments by the tables of commands and flags. The error for the first argument that is
 * unknown, missing or superfluous shows no value that may be a secret.
 */
export function parseCommandLine(
  args: readonly string[],
  commands: readonly Command[],
): CommandLine {
  const flags = new FlagValues();
  const words: string[] = [];
  const rest = [...args];
  const named = () => commands.find(({ name }) => name === words[0]);
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const [, raw, inline] = /^(--?[^-=][^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
    if (raw !== undefined) {
      const name = flagNamed(raw, named());
      // A lone dash is standard input. Any other word that begins with a dash is the next flag.
      const isNext = inline === undefined && FLAGS[name].value !== undefined &&
        !/^-./.test(rest[0] ?? "-x");
      addFlag(flags, name, isNext ? rest.shift() : inline);
      continue;
    }
    if (arg !== "--") words.push(arg);
    const isProgram = words.length > 1 && named()?.isRest;
    if (arg === "--" || isProgram) words.push(...rest.splice(0));
  }
  const [word, ...more] = words;
  const command = named();
  if (command !== undefined) assertTaken(command, flags, more);
  else if (word !== undefined) throw unknownWord(word, "a command", commands.map(nameOf));
  else if (args.length > 0 && !flags.has("help") && !flags.has("version")) {
    const names = commands.map(nameOf).join(", ");
    throw usageError(`Cannot run: no command is given. Give one of ${names}.`);
  }
  return { command, flags, args: more };
}

const NAMES = Object.keys(FLAGS) as FlagName[];
const nameOf = ({ name }: Command) => name;

/** The flag that stands there with its dashes. */
function flagNamed(raw: string, command: Command | undefined): FlagName {
  const text = raw.replace(/^-+/, "");
  const found = NAMES.find((name) => name === text || FLAGS[name].short === text);
  if (found !== undefined) return found;
  throw unknownWord(raw, "a flag", (command?.flags ?? NAMES).map((name) => `--${name}`));
}

function addFlag(flags: FlagValues, name: FlagName, value: string | undefined): void {
  const { value: placeholder, choices, isRepeatable } = FLAGS[name];
  const before = flags.get(name);
  const fault = before !== undefined && !isRepeatable
    ? "it is given twice. Give it once."
    : placeholder === undefined
    ? value !== undefined && "it takes no value. Give it alone."
    : !value?.trim() && `its value is missing. Give --${name} ${placeholder}.`;
  if (fault) throw usageError(`Cannot use --${name}: ${fault}`);
  if (value && choices?.includes(value) === false) throw unknownWord(value, `--${name}`, choices);
  flags.set(name, [...before ?? [], ...value === undefined ? [] : [value]]);
}

function assertTaken(
  { name, flags, args }: Command,
  given: FlagValues,
  words: readonly string[],
): void {
  const taken: readonly FlagName[] = [...flags, "help", "version"];
  const flag = given.keys().find((one) => !taken.includes(one));
  const superfluous = flag === undefined
    ? args === undefined && words[0] !== undefined && shown(words[0], "an argument")
    : `--${flag}`;
  if (!superfluous) return;
  throw usageError(
    `Cannot use ${superfluous}: the command ${name} does not take it. Leave it out.`,
  );
}
