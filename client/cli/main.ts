import { VERSION } from "../signed_in/session.ts";
import { applySettings, type Command, EXIT, PROGRAM } from "./command.ts";
import { backends } from "./commands/backends.ts";
import { completionsCommand } from "./commands/completions.ts";
import { config } from "./commands/config.ts";
import { doctor } from "./commands/doctor.ts";
import { helpCommand, helpText } from "./commands/help.ts";
import { list } from "./commands/list.ts";
import { login } from "./commands/login.ts";
import { logout } from "./commands/logout.ts";
import { migrate } from "./commands/migrate.ts";
import { permissions } from "./commands/permissions.ts";
import { status } from "./commands/status.ts";
import { token } from "./commands/token.ts";
import type { FlagValues } from "./flags.ts";
import { type Output, StandardOutput } from "./output.ts";
import { parseCommandLine } from "./parse_command_line.ts";
import { reportError } from "./report_error.ts";

const all: Command[] = [login, status, list, token, logout, migrate, doctor, backends, config];
all.push(permissions, completionsCommand(all));
all.push(helpCommand(all));

/** All commands. Parsing, help, completions and the reference are made from this table. */
export const COMMANDS: readonly Command[] = all;

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
      const text = helpText(line.command, COMMANDS);
      if (isAsked) output.print(text);
      else output.note(text);
      return isAsked ? EXIT.ok : EXIT.usage;
    }
    ({ flags } = line);
    command = line.command.name;
    flags = await applySettings(line.command, flags);
    return await line.command.run({ ...line, flags, output });
  } catch (error) {
    return reportError(error, output, { isJson: args.includes("--json"), command, flags });
  }
}
