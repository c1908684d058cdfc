import { EXIT_WORDS } from "../../client/cli/command.ts";
import { COMMANDS } from "../../client/cli/commands.ts";
import { type FlagName, FLAGS } from "../../client/cli/flags.ts";
import { flagUsage } from "../../client/cli/help.ts";
import { OPTION_NAMES, optionRow } from "../../client/options/declaration.ts";
import { table } from "./generated_part.ts";

/** The reference of the command line in client/command_line.md, from the table that drives it. */
export function cliReference(): string {
  const commands = COMMANDS.map(({ name, summary }) => [`\`${name}\``, summary]);
  return [
    table(["command", "purpose"], commands),
    table(["flag", "meaning", "default"], flagRows()),
    table(["exit code", "meaning"], Object.entries(EXIT_WORDS)),
  ].join("\n\n");
}

function flagRows(): string[][] {
  const used = new Set(COMMANDS.flatMap(({ flags }) => flags));
  return [...used].map((name: FlagName) => {
    const { summary, choices, variable, short } = FLAGS[name];
    const offer = choices === undefined ? "" : `: ${choices.map((one) => code(one)).join(", ")}`;
    return [
      `${short === undefined ? "" : `\`-${short}\` `}\`${flagUsage(name)}\``,
      `${summary.replace(/<.*>/, "`$&`")}${offer}`,
      code(variable),
    ];
  });
}

/** The options that code, variables and flags share, for client/options.md. */
export function optionTable(): string {
  const rows = OPTION_NAMES.map((name) => ({ name, ...optionRow(name) }))
    .filter(({ group }) => group !== "code")
    .map(({ name, variable, flag, help }) => [
      code(name),
      code(variable),
      code(flag && `--${flag}`),
      help,
    ]);
  return table(["option", "variable", "flag", "use"], rows);
}

function code(word: string | undefined): string {
  return word === undefined ? "" : `\`${word}\``;
}
