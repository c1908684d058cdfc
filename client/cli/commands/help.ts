import { columns, print } from "../output.ts";
import {
  type Command,
  EXIT,
  EXIT_WORDS,
  type FlagName,
  FLAGS,
  PROGRAM,
  SPECIFIER,
} from "../command.ts";

const WIDTH = 80;

/** The help of one command, or of the whole program. */
export function helpText(command: Command | undefined, all: readonly Command[]): string {
  const text = (line: string) => columns([[line]], "", WIDTH);
  const part = (title: string, rows: readonly (readonly string[])[], to = WIDTH) =>
    `${title}:\n${columns(rows, "  ", to)}`;
  const exits = part("Exit codes", EXIT_WORDS.map(([code, meaning]) => [`${code}`, meaning]));
  if (command === undefined) {
    return [
      text(
        "Signs in to an API behind an OpenID Provider, and prints its token for other programs.",
      ),
      part("Usage", [[`${PROGRAM} <command> [flags]`], [
        `deno run … ${SPECIFIER} <command> [flags]`,
      ]]),
      part("Commands", all.map(({ name, summary }) => [name, summary])),
      part("Flags", flagRows(["help", "version"])),
      text(
        "Each command has its own flags: see <command> --help. Variables and a settings file stand " +
          "in for them: see config --help.",
      ),
      text(
        "Results go to standard output, everything else to standard error. No argument is a secret, " +
          "and only token prints one.",
      ),
      exits,
    ].join("\n");
  }
  const { name, summary, flags, args = "", details, examples } = command;
  return [
    text(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`),
    part("Usage", [[`${PROGRAM} ${name} [flags] ${args}`]]),
    ...details.map(text),
    part("Flags", flagRows([...flags, "help"])),
    part("Examples", examples.map((line) => [`${PROGRAM} ${line}`]), Infinity),
    exits,
  ].join("\n");
}

/** A flag with the placeholder of its value. */
export function flagUsage(name: FlagName): string {
  const { value } = FLAGS[name];
  return value === undefined ? `--${name}` : `--${name} ${value}`;
}

function flagRows(names: readonly FlagName[]): string[][] {
  return names.map((name) => {
    const { summary, variable, choices, short } = FLAGS[name];
    const more = [choices && `one of ${choices.join(", ")}`, variable && `default ${variable}`]
      .filter((one) => one !== undefined).join("; ");
    const usage = `${short === undefined ? "    " : `-${short}, `}${flagUsage(name)}`;
    return [usage, summary + (more && ` (${more})`)];
  });
}

export function completionsCommand(commands: () => readonly Command[]): Command {
  return {
    name: "completions",
    summary: "print the completions for bash and zsh",
    details: [
      `For the program as deno install names it: ${PROGRAM}.`,
      "bash: put it into ~/.local/share/bash-completion/completions/" + PROGRAM,
      `zsh:  put it into a folder of $fpath, as _${PROGRAM}`,
    ],
    flags: [],
    examples: [`completions > ~/.local/share/bash-completion/completions/${PROGRAM}`],
    action: "print the completions",
    run: () => {
      print(script(commands()));
      return EXIT.ok;
    },
  };
}

/** The values that are offered for a flag. Without any a shell offers files. */
function offered(name: FlagName): string {
  const { choices, suggestions } = FLAGS[name];
  return (choices ?? suggestions ?? []).join(" ");
}

/** One script for both shells: zsh runs it by its own emulation of bash. */
function script(commands: readonly Command[]): string {
  const used = [...new Set(commands.flatMap(({ flags }) => flags))];
  const values = used.filter((name) => FLAGS[name].value !== undefined)
    .map((name) => `    --${name}) words="${offered(name)}" ;;\n`);
  const cases = commands.map(({ name, flags }) => {
    const words = [...flags.map((flag) => `--${flag}`), "--help"];
    return `    ${name}) words="${words.join(" ")}" ;;\n`;
  });
  return `#compdef ${PROGRAM}
[ -z "$ZSH_VERSION" ] || { autoload -U +X bashcompinit && bashcompinit; }
_validmind_auth() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local command="" words="${commands.map(({ name }) => name).join(" ")} --help --version" word
  for word in "\${COMP_WORDS[@]:1:$((COMP_CWORD-1))}"; do
    case "$word" in -*) ;; *) command="$word"; break ;; esac
  done
  # bash takes --flag=value for three words.
  if [ "$current" = "=" ]; then current=""
  elif [ "$previous" = "=" ]; then previous="\${COMP_WORDS[COMP_CWORD-2]}"
  fi
  case "$command" in
${cases.join("")}  esac
  case "$previous" in
${values.join("")}  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _validmind_auth ${PROGRAM}
[ "$funcstack[1]" != "_${PROGRAM}" ] || _bash_complete -o default -F _validmind_auth
`;
}
