import { type Command, EXIT_WORDS } from "../../client/cli/command.ts";
import { COMMANDS } from "../../client/cli/commands.ts";
import { type FlagName, IDENTITY_FLAGS, STORE_FLAGS } from "../../client/cli/flags.ts";
import { OPTION_NAMES, optionRow } from "../../client/options/declaration.ts";
import { table } from "./generated_part.ts";

/** The flags that a page need not repeat for each command: they name a stored sign-in. */
const COMMON: readonly FlagName[] = [...IDENTITY_FLAGS, ...STORE_FLAGS];

/** The reference of the command line in client/command_line.md, from the table that drives it. */
export function cliReference(): string {
  const common = `- sign-in, below, stands for the flags of a stored one: ${listed(COMMON)}`;
  return [
    [common, ...COMMANDS.map(commandLine)].join("\n"),
    table(["exit code", "meaning"], Object.entries(EXIT_WORDS)),
  ].join("\n\n");
}

/** A line of a list: in a table each row would be as long as the longest. */
function commandLine({ name, summary, flags }: Command): string {
  const hasCommon = COMMON.every((flag) => flags.includes(flag));
  const others = flags.filter((flag) => !hasCommon || !COMMON.includes(flag));
  const words = [hasCommon ? "sign-in" : "", listed(others)].filter(Boolean).join(", ");
  return `- **${code(name)}** (${summary})${words && `: ${words}`}`;
}

function listed(flags: readonly FlagName[]): string {
  return flags.map((flag) => code(`--${flag}`)).join(" ");
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
