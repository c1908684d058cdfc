// The runtime's own parser. It costs 4 ms at the start, and only the command line pays for it.
import { parseArgs } from "node:util";
import type { Command } from "./command.ts";
import { type FlagName, flagOf, FLAGS, FlagValues } from "./flags.ts";
import { nearestWord } from "./nearest_word.ts";
import { UsageError } from "./usage_error.ts";

/** What a person asked for. */
export type CommandLine =
  | { readonly kind: "version" }
  | { readonly kind: "help"; readonly command?: Command }
  | {
    readonly kind: "run";
    readonly command: Command;
    readonly argument: string | undefined;
    readonly flags: FlagValues;
  };

interface GivenFlag {
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly isInline: boolean;
}

const NAMES = Object.keys(FLAGS) as FlagName[];
/** Told apart by the table below rather than by `strict`, whose errors quote values. */
const OPTIONS = Object.fromEntries(NAMES.map((name) => [name, {
  type: flagOf(name).value === undefined ? "boolean" as const : "string" as const,
  ...(name === "help" && { short: "h" }),
}]));
/** Given before or without a command, too. */
const EVERYWHERE: readonly string[] = ["help", "version"];
const SECRET = /token|secret|passw|passphrase|credential|api-?key|^key$/i;

/**
 * Understands the arguments by the tables of commands and flags.
 *
 * @throws {UsageError} For the first thing that is unknown, missing or too much. No value is shown
 * that may be a secret.
 */
export function parseCommandLine(
  args: readonly string[],
  commands: readonly Command[],
): CommandLine {
  const { given, words } = tokenize(args);
  const known = commands.find(({ name }) => name === words[0]);
  for (const flag of given) assertKnown(flag, known);
  if (given.some(({ name }) => name === "version")) return { kind: "version" };
  const isHelp = given.some(({ name }) => name === "help");
  if (words[0] === undefined && (isHelp || given.length === 0)) return { kind: "help" };
  const command = known ?? missingCommand(words[0], commands);
  if (isHelp) return { kind: "help", command };
  const flags = checkFlags(given, command);
  return { kind: "run", command, argument: checkWords(words.slice(1), command), flags };
}

function tokenize(args: readonly string[]): { given: GivenFlag[]; words: string[] } {
  const { tokens } = parseArgs({
    args: [...args],
    options: OPTIONS,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const given: GivenFlag[] = [];
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") words.push(token.value);
    if (token.kind !== "option") continue;
    const { name, rawName, value, inlineValue = false } = token;
    given.push({ name, rawName, value, isInline: inlineValue });
  }
  return { given, words };
}

function assertKnown({ name, rawName }: GivenFlag, command: Command | undefined): void {
  if ((NAMES as string[]).includes(name)) return;
  if (SECRET.test(name)) {
    throw new UsageError(
      `Cannot take ${
        shown(rawName, "that flag")
      }: arguments can be read by other programs of this ` +
        `computer, so that no secret may stand in one. Set the variable for it, such as ` +
        `VM_OIDC_CLIENT_SECRET or VM_API_SECRET, or name a variable in a backend's options: ` +
        `{"token": "\${MY_TOKEN}"}.`,
    );
  }
  const offered = command === undefined ? NAMES : [...command.flags, ...EVERYWHERE];
  throw new UsageError(
    `Cannot understand ${shown(rawName, "a flag")}: there is no such flag. ` +
      advice(nearestWord(name, offered), "--", command),
  );
}

function missingCommand(word: string | undefined, commands: readonly Command[]): never {
  const names = commands.map(({ name }) => name);
  if (word === undefined) {
    throw new UsageError(`Cannot run: no command is given. Give one of ${names.join(", ")}.`);
  }
  const near = nearestWord(word, names);
  throw new UsageError(
    `Cannot run ${shown(word, "that")}: there is no such command. ` +
      (near === undefined ? `Give one of ${names.join(", ")}.` : `Did you mean ${near}?`),
  );
}

function checkFlags(given: readonly GivenFlag[], command: Command): FlagValues {
  const values = new Map<FlagName, string | true>();
  for (const flag of given) {
    const name = flag.name as FlagName;
    if (!command.flags.includes(name)) {
      throw new UsageError(
        `Cannot use --${name} here: the command ${command.name} does not take it. ` +
          advice(nearestWord(name, command.flags), "--", command),
      );
    }
    if (values.has(name)) {
      throw new UsageError(`Cannot use --${name}: it is given twice. Give it once.`);
    }
    values.set(name, checkValue(name, flag));
  }
  if (values.has("quiet") && values.has("json")) {
    throw new UsageError("Cannot print JSON and nothing: give either --json or --quiet.");
  }
  return new FlagValues(values);
}

function checkValue(name: FlagName, { value, isInline }: GivenFlag): string | true {
  const { value: placeholder, choices } = flagOf(name);
  if (placeholder === undefined) {
    if (value === undefined) return true;
    throw new UsageError(`Cannot use --${name}: it takes no value. Give it alone.`);
  }
  // A dash alone is standard input; anything else that begins with one is the next flag.
  const isNextFlag = !isInline && value !== undefined && /^-./.test(value);
  if (value === undefined || value.trim() === "" || isNextFlag) {
    throw new UsageError(
      `Cannot use --${name}: its value is missing. Give --${name} ${placeholder}.`,
    );
  }
  if (choices !== undefined && !choices.includes(value)) {
    throw wrongWord(value, `--${name}`, choices);
  }
  return value;
}

function checkWords(words: readonly string[], { name, argument }: Command): string | undefined {
  const [word, tooMuch] = argument === undefined ? [undefined, words[0]] : words;
  if (tooMuch !== undefined) {
    throw new UsageError(
      `Cannot understand ${shown(tooMuch, "an argument")}: the command ${name} takes no ` +
        `${argument === undefined ? "" : "second "}argument. Leave it out, or see ${name} --help.`,
    );
  }
  if (argument === undefined) return undefined;
  const offer = argument.choices.join(", ");
  if (word === undefined) {
    throw new UsageError(
      `Cannot run ${name}: its ${argument.name} is missing. Give one of ${offer}.`,
    );
  }
  if (argument.choices.includes(word)) return word;
  throw wrongWord(word, argument.name, argument.choices);
}

function wrongWord(word: string, what: string, choices: readonly string[]): UsageError {
  const near = nearestWord(word, choices);
  return new UsageError(
    `Cannot use ${shown(word, "that value")} as ${what}: it is not known. ` +
      (near === undefined ? "" : `Did you mean ${near}? `) + `It takes: ${choices.join(", ")}.`,
  );
}

function advice(near: string | undefined, dashes: string, command: Command | undefined): string {
  if (near !== undefined) return `Did you mean ${dashes}${near}?`;
  return command === undefined ? "See --help." : `See ${command.name} --help.`;
}

/** A word as it may be shown: what is long or strange may be a secret in a wrong place. */
export function shown(word: string, otherwise: string): string {
  return /^[\w.:-]{1,24}$/.test(word) ? `"${word}"` : otherwise;
}
