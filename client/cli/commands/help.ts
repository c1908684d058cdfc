import { type Command, EXIT, simplePlan } from "../command.ts";
import { commandHelp, programHelp } from "../help_text.ts";

const NAME = "help";

/** `help`: the help of the program or of a command. */
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
      const { columns } = output;
      output.print(named === undefined ? programHelp(all, columns) : commandHelp(named, columns));
      return EXIT.ok;
    },
  };
  return help;
}
