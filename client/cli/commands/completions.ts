import { EXIT } from "../cli_error.ts";
import type { Command, CommandCall } from "../command.ts";
import { FLAGS } from "../flags.ts";
import { print } from "../output.ts";
import { PROGRAM } from "../program.ts";

export function run({ commands }: CommandCall): number {
  print(completionScript(commands));
  return EXIT.ok;
}

/** One script for both shells: zsh runs it by its own emulation of bash. */
function completionScript(commands: readonly Command[]): string {
  const used = [...new Set(commands.flatMap(({ flags }) => flags))];
  const values = used.map((name) => {
    const { value, choices, suggestions = [] } = FLAGS[name];
    // Without a word a shell offers files.
    return value && `    --${name}) words="${(choices ?? suggestions).join(" ")}" ;;\n`;
  });
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
