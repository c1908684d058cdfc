import { VERSION } from "../signed_in/session.ts";
import { type Command, EXIT, PROGRAM } from "./command.ts";
import { api } from "./commands/api.ts";
import { completionsCommand } from "./commands/completions.ts";
import { config } from "./commands/config.ts";
import { doctor } from "./commands/doctor.ts";
import { exec } from "./commands/exec.ts";
import { helpText } from "./commands/help.ts";
import { list } from "./commands/list.ts";
import { login } from "./commands/login.ts";
import { logout } from "./commands/logout.ts";
import { migrate } from "./commands/migrate.ts";
import { permissions } from "./commands/permissions.ts";
import { status } from "./commands/status.ts";
import { token } from "./commands/token.ts";
import { type FlagName, FLAGS, FlagValues } from "./flags.ts";
import { preflight } from "../permissions/preflight.ts";
import { type Output, StandardOutput } from "./output.ts";
import { fileNeeds } from "./sign_in_target.ts";
import { reportError } from "./report_error.ts";
import { type CliError, shown, unknownWord, usageError } from "./cli_error.ts";
import { didYouMean } from "../../backends/credentials_backend_error.ts";
import { optionNamed, optionRow } from "../options/declaration.ts";

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
export async function main(
  args: readonly string[],
  output: Output = new StandardOutput(),
): Promise<number> {
  let flags: FlagValues | undefined;
  let command = args.find((word) => COMMANDS.some(({ name }) => name === word));
  try {
    const line = parseCommandLine(args, COMMANDS);
    if (line.kind === "version") {
      output.print(`${PROGRAM} ${VERSION}\n`);
      return EXIT.ok;
    }
    if (line.kind === "help") {
      const isAsked = args.length > 0;
      const text = helpText(line.command, COMMANDS);
      if (isAsked) output.print(text);
      else output.note(text);
      return isAsked ? EXIT.ok : EXIT.usage;
    }
    ({ flags } = line);
    command = line.command.name;
    preflight(line.command.action, fileNeeds(flags), "always");
    return await line.command.run({ ...line, flags, output });
  } catch (error) {
    const isJson = flags?.has("json") ?? args.includes("--json");
    return reportError(error, output, { isJson, command, flags });
  }
}

type CommandLine =
  | { readonly kind: "version" }
  | { readonly kind: "help"; readonly command?: Command }
  | {
    readonly kind: "run";
    readonly command: Command;
    readonly flags: FlagValues;
    readonly args: readonly string[];
  };

/** A flag as it was typed: `raw` with its dashes. */
interface GivenFlag {
  readonly raw: string;
  readonly name: string;
  readonly value: string | undefined;
}

const NAMES = Object.keys(FLAGS) as FlagName[];

/**
 * Parses the arguments by the tables of commands and flags. The error for the first argument that is
 * unknown, missing or superfluous shows no value that may be a secret.
 */
export function parseCommandLine(
  args: readonly string[],
  commands: readonly Command[],
): CommandLine {
  const { words: [word, ...words], given } = splitArguments(args, commands);
  const known = commands.find(({ name }) => name === word);
  for (const flag of given) assertKnown(flag, known?.flags ?? NAMES);
  if (given.some(({ name }) => name === "version")) return { kind: "version" };
  const isHelp = given.some(({ name }) => name === "help");
  if (word === undefined && (isHelp || given.length === 0)) return { kind: "help" };
  if (known === undefined) throw noCommand(word, commands.map(({ name }) => name));
  if (isHelp) return { kind: "help", command: known };
  if (words[0] !== undefined && known.args === undefined) {
    const reason = `the command ${word} takes no argument. Leave it out.`;
    throw usageError(`Cannot understand ${shown(words[0], "an argument")}: ${reason}`);
  }
  return { kind: "run", command: known, flags: checkFlags(given, known), args: words };
}

function splitArguments(
  args: readonly string[],
  commands: readonly Command[],
): { words: string[]; given: GivenFlag[] } {
  const words: string[] = [];
  const given: GivenFlag[] = [];
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const [, raw, inline] = /^(--?[^-=][^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
    if (raw === undefined) {
      if (arg !== "--") words.push(arg);
      const isProgram = words.length > 1 &&
        commands.some(({ name, isRest }) => isRest && name === words[0]);
      if (arg === "--" || isProgram) words.push(...rest.splice(0));
      continue;
    }
    const text = raw.replace(/^-+/, "");
    const name = NAMES.find((one) => one === text || FLAGS[one].short === text);
    const takesValue = name !== undefined && FLAGS[name].value !== undefined;
    // A lone dash is standard input. Any other word that begins with a dash is the next flag.
    const isNext = takesValue && inline === undefined && !/^-./.test(rest[0] ?? "-x");
    given.push({ raw, name: name ?? text, value: isNext ? rest.shift() : inline });
  }
  return { words, given };
}

function assertKnown({ name, raw }: GivenFlag, offered: readonly string[]): void {
  if ((NAMES as string[]).includes(name)) return;
  const option = optionNamed(name);
  const variable = option && optionRow(option).variable;
  // No secret has a flag: other programs on this computer can read arguments.
  const hint = variable === undefined
    ? didYouMean(raw, offered.map((one) => `--${one}`))
    : `Set ${variable} instead.`;
  const words = `Cannot understand ${shown(raw, "a flag")}: there is no such flag. ${hint}`;
  throw usageError(words.trimEnd());
}

function noCommand(word: string | undefined, names: readonly string[]): CliError {
  const choices = didYouMean(word ?? "", names) || `Give one of ${names.join(", ")}.`;
  if (word === undefined) return usageError(`Cannot run: no command is given. ${choices}`);
  return usageError(`Cannot run ${shown(word, "that")}: there is no such command. ${choices}`);
}

function checkFlags(given: readonly GivenFlag[], { name: command, flags }: Command): FlagValues {
  const values = new Map<FlagName, readonly string[]>();
  for (const { name: text, value } of given) {
    const name = text as FlagName;
    const { value: placeholder, choices, isRepeatable } = FLAGS[name];
    const before = values.get(name);
    const fault = !flags.includes(name)
      ? `the command ${command} does not take it. Leave it out.`
      : before !== undefined && !isRepeatable
      ? "it is given twice. Give it once."
      : placeholder === undefined
      ? value !== undefined && "it takes no value. Give it alone."
      : !value?.trim() && `its value is missing. Give --${name} ${placeholder}.`;
    if (fault) throw usageError(`Cannot use --${name}: ${fault}`);
    if (value && choices?.includes(value) === false) throw unknownWord(value, `--${name}`, choices);
    values.set(name, [...before ?? [], ...value === undefined ? [] : [value]]);
  }
  return new FlagValues(values);
}
