import { shown } from "../options/settings_path.ts";
import { type Command, usageError } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { type FlagName, FLAGS, FlagValues } from "./flags.ts";
import { unknownWord } from "./unknown_word.ts";

/**
 * Parses the arguments by the tables of commands and flags. The error for the first argument that is
 * unknown, missing or superfluous shows no value that may be a secret. There is no command where help or
 * the version is all that is asked for.
 */
export function parseCommandLine(args: readonly string[]) {
  const flags = new FlagValues();
  const words: string[] = [];
  const rest = [...args];
  const named = () => COMMANDS.find(({ name }) => name === words[0]);
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const [, raw, inline] = /^(--?[a-z][^=]*)(?:=(.*))?$/is.exec(arg) ?? [];
    if (raw !== undefined) {
      const name = flagNamed(raw, named());
      // A lone dash is standard input, and -5 is a number. A letter after the dash makes a flag.
      const isNext = inline === undefined && FLAGS[name].value !== undefined &&
        !/^-[-a-z]/i.test(rest[0] ?? "--");
      addFlag(flags, name, isNext ? rest.shift() : inline);
      continue;
    }
    if (arg !== "--") words.push(arg);
    const isProgram = words.length > 1 && named()?.isRest;
    if (arg === "--" || isProgram) words.push(...rest.splice(0));
  }
  if (words[0] === "help") {
    flags.set("help", []);
    words.shift();
  }
  const [word, ...more] = words;
  const command = named();
  if (command !== undefined) assertTaken(command, flags, more);
  else if (word !== undefined) {
    throw unknownWord(word, "a command", COMMANDS.map(({ name }) => name));
  }
  return { command, flags, args: more };
}

const NAMES = Object.keys(FLAGS) as FlagName[];

function flagsFor(command: Command | undefined): readonly FlagName[] {
  return [...command?.flags ?? [], "help", "version"];
}

/** The flag that stands there with its dashes. */
function flagNamed(raw: string, command: Command | undefined) {
  const text = raw.replace(/^-+/, "");
  const found = NAMES.find((name) => name === text || FLAGS[name].short === text);
  if (found !== undefined) return found;
  throw unknownWord(raw, "a flag", flagsFor(command).map((name) => `--${name}`));
}

function addFlag(flags: FlagValues, name: FlagName, value: string | undefined) {
  const { value: placeholder, choices, isRepeatable } = FLAGS[name];
  const fail = (fault: string) => usageError(`Cannot use --${name}: ${fault}`);
  if (flags.has(name) && !isRepeatable) throw fail("it is given twice. Give it once.");

  if (placeholder === undefined) {
    if (value !== undefined) throw fail("it takes no value. Give it alone.");
    flags.set(name, []);
    return;
  }

  const isEmptyTaken = name === "audience"; // an empty one means none
  if (value === undefined || value.trim() === "" && !isEmptyTaken) {
    throw fail(`its value is missing. Give --${name} ${placeholder}.`);
  }
  if (choices?.includes(value) === false) throw unknownWord(value, `--${name}`, choices);
  flags.set(name, [...flags.get(name) ?? [], value]);
}

function assertTaken(command: Command, given: FlagValues, words: readonly string[]) {
  const { name, args } = command;
  const taken = flagsFor(command);
  const flag = given.keys().find((one) => !taken.includes(one));
  const fail = (what: string, remedy = "Leave it out.") =>
    usageError(`Cannot use ${what}: the command ${name} does not take it. ${remedy}`);
  if (flag !== undefined) throw fail(`--${flag}`, `It takes: --${taken.join(", --")}.`);
  const surplus = words[Number(args !== undefined)];
  if (surplus === undefined || args?.includes("…")) return;
  throw fail(shown(surplus, "an argument"));
}
