import { COMMANDS } from "../../client/cli/main.ts";
import { type Command, EXIT_WORDS, type FlagName, FLAGS } from "../../client/cli/command.ts";
import { flagUsage } from "../../client/cli/main.ts";
import { type Generated, generated, table } from "./generated_part.ts";

const CLI_BEGIN = "<!-- commands: made by `deno task readme`, checked by the tests -->";
const CLI_END = "<!-- end of commands -->";

/** The reference of the command line in client/command_line.md, from the table that drives it. */
export function cliReference(): Generated {
  const parts = [
    table(["command", "what it does"], COMMANDS.map(commandRow)),
    "",
    table(["flag", "meaning", "default"], flagRows()),
    "",
    table(["exit code", "meaning"], Object.entries(EXIT_WORDS)),
  ];
  return generated(CLI_BEGIN, parts.join("\n"), CLI_END);
}

function commandRow({ name, summary }: Command): string[] {
  return [`\`${name}\``, summary];
}

function flagRows(): string[][] {
  const used = new Set(COMMANDS.flatMap(({ flags }) => flags));
  return [...used].map((name: FlagName) => {
    const { summary, choices, variable, short } = FLAGS[name];
    const offer = choices === undefined ? "" : `: ${choices.map((one) => `\`${one}\``).join(", ")}`;
    return [
      `${short === undefined ? "" : `\`-${short}\` `}\`${flagUsage(name)}\``,
      `${summary.replace(/<.*>/, "`$&`")}${offer}`,
      variable === undefined ? "" : `\`${variable}\``,
    ];
  });
}
