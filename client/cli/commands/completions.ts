import { type Command, EXIT, PROGRAM } from "../command.ts";
import { type FlagName, FLAGS } from "../flags.ts";

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
    run: ({ output }) => {
      output.print(script(commands()));
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
