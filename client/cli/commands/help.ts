import { columns, wrap } from "../columns.ts";
import { type Command, EXIT, EXIT_WORDS, PROGRAM, simplePlan, SPECIFIER } from "../command.ts";
import { type FlagName, flagOf } from "../flags.ts";

const NAME = "help";

export function helpCommand(others: readonly Command[]): Command {
  const names = [...others.map(({ name }) => name), NAME];
  const help: Command = {
    name: NAME,
    summary: "show help for the program or for a command",
    details: [],
    argument: { name: "command", choices: names, isOptional: true },
    flags: [],
    examples: ["help", "help token"],
    action: "show help",
    prepare: () => simplePlan(),
    run: (_, { argument, output }) => {
      const all = [...others, help];
      const named = all.find(({ name }) => name === argument);
      output.print(helpText(named, all, output.columns));
      return EXIT.ok;
    },
  };
  return help;
}

/** The help of one command, or of the whole program, wrapped to `width`. */
export function helpText(
  command: Command | undefined,
  all: readonly Command[],
  width: number,
): string {
  return command === undefined ? programHelp(all, width) : commandHelp(command, width);
}

function programHelp(commands: readonly Command[], width: number): string {
  return [
    paragraph(
      "Signs in to an API behind an OpenID Provider, and prints its token for other programs.",
      width,
    ),
    usage([`${PROGRAM} <command> [flags]`, `deno run … ${SPECIFIER} <command> [flags]`], width),
    "Commands:\n" + columns(commands.map(({ name, summary }) => [name, summary]), "  ", width),
    "Flags:\n" + flagLines(["help", "version"], width),
    paragraph(
      "Each command has its own flags: see help <command>. Variables and a settings file stand in for " +
        "them: see help config.",
      width,
    ),
    paragraph(
      "Results go to standard output, everything else to standard error. No argument is a secret, " +
        "and only token prints one.",
      width,
    ),
    exitLines(width),
  ].join("\n");
}

function commandHelp(command: Command, width: number): string {
  const { name, argument, flags, details, examples } = command;
  const [open, close] = argument?.isOptional ? "[]" : "<>";
  const word = argument === undefined ? "" : ` ${open}${argument.name}${close}`;
  const choices = argument === undefined
    ? []
    : [`${argument.name}: ${argument.choices.join(", ")}`];
  return [
    paragraph(`${command.summary[0]!.toUpperCase()}${command.summary.slice(1)}.`, width),
    usage([`${PROGRAM} ${name}${word}${flags.length === 0 ? "" : " [flags]"}`], width),
    ...[...details, ...choices].map((text) => paragraph(text, width)),
    "Flags:\n" + flagLines([...flags, "help"], width),
    "Examples:\n" + examples.map((line) => `  ${PROGRAM} ${line}\n`).join(""),
    exitLines(width),
  ].join("\n");
}

/** The forms of a command line. One that does not fit goes on below itself. */
function usage(forms: readonly string[], width: number): string {
  const before = "Usage: ";
  return forms.flatMap((form) => wrap(form, width - before.length))
    .map((line, index) => (index === 0 ? before : " ".repeat(before.length)) + line)
    .map((line) => `${line}\n`).join("");
}

function paragraph(text: string, width: number): string {
  return wrap(text, width).map((line) => `${line}\n`).join("");
}

/** A flag with the placeholder of its value. */
export function flagUsage(name: FlagName): string {
  const { value } = flagOf(name);
  return value === undefined ? `--${name}` : `--${name} ${value}`;
}

function flagLines(names: readonly FlagName[], width: number): string {
  const rows = names.map((name) => {
    const { summary, variable, choices, short } = flagOf(name);
    const more = [
      ...(choices === undefined ? [] : [`one of ${choices.join(", ")}`]),
      ...(variable === undefined ? [] : [`default ${variable}`]),
    ];
    const usage = `${short === undefined ? "    " : `-${short}, `}${flagUsage(name)}`;
    return [usage, summary + (more.length === 0 ? "" : ` (${more.join("; ")})`)];
  });
  return columns(rows, "  ", width);
}

function exitLines(width: number): string {
  const rows = EXIT_WORDS.map(([code, words]) => [`${code}`, words]);
  return "Exit codes:\n" + columns(rows, "  ", width);
}
