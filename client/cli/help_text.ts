import { columns } from "./columns.ts";
import { type Command, EXIT, PROGRAM, SPECIFIER } from "./command.ts";
import { type FlagName, flagOf } from "./flags.ts";

/** Exit codes in words. */
export const EXIT_WORDS: readonly (readonly [code: number, meaning: string])[] = [
  [EXIT.ok, "done"],
  [EXIT.failure, "failed: see standard error"],
  [EXIT.usage, "a command, flag, value or variable is unknown, wrong or missing"],
  [EXIT.signInNeeded, "a person has to sign in: run login"],
];

/** The help of the whole program. */
export function programHelp(commands: readonly Command[]): string {
  return [
    "Signs in to an API behind an OpenID Provider, and prints its token for other programs.\n",
    `Usage: ${PROGRAM} <command> [flags]\n       deno run … ${SPECIFIER} <command> [flags]\n`,
    "Commands:\n" + columns(commands.map(({ name, summary }) => [name, summary]), "  "),
    "Flags:\n" + flagLines(["help", "version"]) +
    "  Each command has flags of its own: see <command> --help.\n",
    "Results go to standard output, everything else to standard error. No argument is a secret, and\n" +
    "only token prints one.\n",
    exitLines(),
  ].join("\n");
}

/** The help of one command. */
export function commandHelp(command: Command): string {
  const { name, argument, flags, details, examples } = command;
  const parts = [
    `${command.summary[0]!.toUpperCase()}${command.summary.slice(1)}.\n`,
    `Usage: ${PROGRAM} ${name}${argument === undefined ? "" : ` <${argument.name}>`}` +
    `${flags.length === 0 ? "" : " [flags]"}\n`,
    ...(details.length === 0 ? [] : [details.map((line) => `${line}\n`).join("")]),
    ...(argument === undefined ? [] : [`${argument.name}: ${argument.choices.join(", ")}\n`]),
    "Flags:\n" + flagLines([...flags, "help"]),
    "Examples:\n" + examples.map((line) => `  ${PROGRAM} ${line}\n`).join(""),
    exitLines(),
  ];
  return parts.join("\n");
}

/** A flag with the placeholder of its value. */
export function flagUsage(name: FlagName): string {
  const { value } = flagOf(name);
  return value === undefined ? `--${name}` : `--${name} ${value}`;
}

function flagLines(names: readonly FlagName[]): string {
  return columns(
    names.map((name) => {
      const { summary, variable, choices } = flagOf(name);
      const more = [
        ...(choices === undefined ? [] : [`one of ${choices.join(", ")}`]),
        ...(variable === undefined ? [] : [`default ${variable}`]),
      ];
      return [flagUsage(name), summary + (more.length === 0 ? "" : ` (${more.join("; ")})`)];
    }),
    "  ",
  );
}

function exitLines(): string {
  return "Exit codes:\n" + columns(EXIT_WORDS.map(([code, words]) => [`${code}`, words]), "  ");
}
