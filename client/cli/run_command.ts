import { VERSION } from "../../backends/common/runtime.ts";
import { permissionCheck } from "../permissions/permission_check.ts";
import { EXIT, PROGRAM } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { helpText } from "./help.ts";
import { note, print } from "./output.ts";
import { parseCommandLine } from "./parse_command_line.ts";
import { reportError } from "./report_error.ts";
import { fileNeeds } from "./sign_in_target.ts";

/** Runs the command that the arguments name, and returns the exit code. */
export async function runCommand(args: readonly string[]) {
  let line: ReturnType<typeof parseCommandLine> | undefined;
  try {
    line = parseCommandLine(args);
    const { command, flags } = line;
    if (flags.has("version")) {
      print(`${PROGRAM} ${VERSION}\n`);
      return EXIT.ok;
    }
    if (flags.has("help")) {
      print(helpText(command));
      return EXIT.ok;
    }
    if (command === undefined) {
      note(helpText(command));
      return EXIT.usage;
    }
    await permissionCheck(command.action)(fileNeeds(flags));
    const { run } = await command.load();
    return await run({ flags, args: line.args, command, commands: COMMANDS }) ?? EXIT.ok;
  } catch (error) {
    const flags = line?.flags;
    const { name } = line?.command ?? COMMANDS.find(({ name }) => name === args[0]) ?? {};
    return await reportError(error, flags?.has("json") ?? args.includes("--json"), name, flags);
  }
}
