import { preflight } from "../permissions/preflight.ts";
import { VERSION } from "../signed_in/session.ts";
import { EXIT } from "./cli_error.ts";
import { COMMANDS } from "./commands.ts";
import { helpText } from "./help.ts";
import { note, print } from "./output.ts";
import { parseCommandLine } from "./parse_command_line.ts";
import { PROGRAM } from "./program.ts";
import { reportError } from "./report_error.ts";
import { fileNeeds } from "./sign_in_target.ts";

/** Runs the command that the arguments name and returns the exit code. Never throws. */
export async function main(args: readonly string[]): Promise<number> {
  let line: ReturnType<typeof parseCommandLine> | undefined;
  try {
    line = parseCommandLine(args);
    const { command, flags } = line;
    if (flags.has("version")) {
      print(`${PROGRAM} ${VERSION}\n`);
      return EXIT.ok;
    }
    if (command === undefined || flags.has("help")) {
      const text = helpText(command);
      if (flags.has("help")) print(text);
      else note(text);
      return flags.has("help") ? EXIT.ok : EXIT.usage;
    }
    preflight(command.action, fileNeeds(flags));
    const { run } = await command.load();
    return await run({ flags, args: line.args, command, commands: COMMANDS });
  } catch (error) {
    const flags = line?.flags;
    const command = args.find((word) => COMMANDS.some(({ name }) => name === word));
    return reportError(error, flags?.has("json") ?? args.includes("--json"), command, flags);
  }
}
