import { type Command, EXIT_WORDS, PROGRAM } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { type FlagName, FLAGS } from "./flags.ts";
import { columns } from "./output.ts";

/** The width of a usual terminal. */
const WIDTH = 80;

/** The help of one command, or of the whole program. */
export function helpText(command: Command | undefined) {
  const text = (line: string) => columns([[line]], "", WIDTH);
  const part = (title: string, rows: readonly (readonly string[])[]) =>
    `${title}:\n${columns(rows, "  ", WIDTH)}`;
  const exits = part("Exit codes", Object.entries(EXIT_WORDS));
  if (command === undefined) {
    return [
      text(
        "Signs in to an API behind an OpenID Provider, and prints its token for other programs.",
      ),
      part("Usage", [[`${PROGRAM} COMMAND [FLAGS]`]]),
      part("Commands", COMMANDS.map(({ name, summary }) => [name, summary])),
      part("Flags", flagRows(["help", "version"])),
      text(
        "Each command has its own flags: see COMMAND --help. Variables and a settings file can take " +
          "their place: see config --help.",
      ),
      text(
        "Results go to standard output, everything else to standard error. No argument is a secret. " +
          "Only token prints one.",
      ),
      exits,
    ].join("\n");
  }
  const { name, summary, flags, args = "", details, examples } = command;
  return [
    text(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`),
    part("Usage", [[`${PROGRAM} ${name} [FLAGS] ${args}`]]),
    ...details.split("\n\n").map((paragraph) => text(paragraph.replaceAll(/\s+/g, " ").trim())),
    part("Flags", flagRows([...flags, "help"])),
    `Examples:${examples.replaceAll(/\n\s*/g, `\n  ${PROGRAM} `)}\n`,
    exits,
  ].join("\n");
}

function flagRows(names: readonly FlagName[]) {
  return names.map((name) => {
    const { help, value = "", variable, choices, short } = FLAGS[name];
    const more = [choices && `one of ${choices.join(", ")}`, variable && `or ${variable}`]
      .filter((one) => one !== undefined).join("; ");
    const letter = short === undefined ? "    " : `-${short}, `;
    return [`${letter}--${name} ${value}`.trimEnd(), help + (more && ` (${more})`)];
  });
}
