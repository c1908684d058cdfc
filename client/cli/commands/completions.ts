import { type Command, EXIT, PROGRAM } from "../command.ts";
import { usageError } from "../cli_error.ts";
import { type FlagName, FLAGS } from "../flags.ts";

const WRITERS = { bash: bashScript, zsh: zshScript, fish: fishScript };

export function completionsCommand(commands: () => readonly Command[]): Command {
  return {
    name: "completions",
    summary: "print the completions for a shell",
    details: [
      `For the program as deno install names it: ${PROGRAM}.`,
      "bash: put it into ~/.local/share/bash-completion/completions/" + PROGRAM,
      `zsh:  put it into a folder of $fpath, as _${PROGRAM}`,
      `fish: put it into ~/.config/fish/completions/${PROGRAM}.fish`,
    ],
    flags: ["shell"],
    examples: [`completions --shell fish > ~/.config/fish/completions/${PROGRAM}.fish`],
    action: "print the completions",
    run: ({ flags, output }) => {
      const shell = flags.text("shell");
      if (shell === undefined) {
        throw usageError("Cannot print the completions: --shell is missing. Give it.");
      }
      output.print(WRITERS[shell as keyof typeof WRITERS](commands()));
      return EXIT.ok;
    },
  };
}

/** The values that are offered for a flag. Without any a shell offers files. */
function offered(name: FlagName): string {
  const { choices, suggestions } = FLAGS[name];
  return (choices ?? suggestions ?? []).join(" ");
}

function bashScript(commands: readonly Command[]): string {
  const used = [...new Set(commands.flatMap(({ flags }) => flags))];
  const values = used.filter((name) => FLAGS[name].value !== undefined)
    .map((name) => `    --${name}) words="${offered(name)}" ;;\n`);
  const cases = commands.map(({ name, flags }) => {
    const words = [...flags.map((flag) => `--${flag}`), "--help"];
    return `    ${name}) words="${words.join(" ")}" ;;\n`;
  });
  return `_validmind_auth() {
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
`;
}

/** The script of bash, which zsh runs by its own emulation. */
function zshScript(commands: readonly Command[]): string {
  return `#compdef ${PROGRAM}
autoload -U +X bashcompinit && bashcompinit
${bashScript(commands)}[ "$funcstack[1]" != "_${PROGRAM}" ] ||
  _bash_complete -o default -F _validmind_auth
`;
}

function fishScript(commands: readonly Command[]): string {
  const quote = (text: string) => `'${text.replace(/[\\']/g, "\\$&")}'`;
  const line = (when: string, rest: string, about: string) =>
    `complete -c ${PROGRAM} -n ${quote(when)} ${rest} -d ${quote(about)}`;
  const flagLine = (when: string, name: FlagName) => {
    const takes = offered(name) ? ` -x -a ${quote(offered(name))}` : " -r -F";
    const { summary, value } = FLAGS[name];
    return line(when, `-l ${name}${value === undefined ? "" : takes}`, summary);
  };
  const none = "__fish_use_subcommand";
  const lines = commands.flatMap(({ name, summary, flags }) => {
    const seen = `__fish_seen_subcommand_from ${name}`;
    const ofFlags = [...flags, "help" as const].map((flag) => flagLine(seen, flag));
    return [line(none, `-a ${name}`, summary), ...ofFlags];
  });
  const ofProgram = [flagLine(none, "help"), flagLine(none, "version")];
  return [`complete -c ${PROGRAM} -f`, ...lines, ...ofProgram, ""].join("\n");
}
