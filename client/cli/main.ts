import { VERSION } from "../signed_in/session.ts";
import { applySettings, EXIT, PROGRAM, runCommand } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import type { FlagValues } from "./flags.ts";
import { helpText } from "./commands/help.ts";
import { type Output, StandardOutput } from "./output.ts";
import { parseCommandLine } from "./parse_command_line.ts";
import { reportError } from "./report_error.ts";

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
      const textFor = (columns: number) => helpText(line.command, COMMANDS, columns);
      if (isAsked) output.print(textFor(output.columns));
      else output.note(textFor(output.noteColumns));
      return isAsked ? EXIT.ok : EXIT.usage;
    }
    ({ flags } = line);
    command = line.command.name;
    flags = await applySettings(line.command, flags);
    return await runCommand(line.command, { ...line, flags, output });
  } catch (error) {
    return reportError(error, output, { isJson: args.includes("--json"), command, flags });
  }
}
