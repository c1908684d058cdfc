import { quotePosix } from "../../../backends/common/runtime.ts";
import { BUILT_IN_NAMES } from "../../../backends/load/create_backend.ts";
import { SETTINGS } from "../../options/declaration.ts";
import { type Command, type CommandCall, PROGRAM } from "../command.ts";
import { CHANGE_FLAGS, type FlagName, FLAGS } from "../flags.ts";
import { print } from "../output.ts";
import { unknownWord } from "../unknown_word.ts";

/** The words of config that take names of settings are completed as commands. */
const CHANGES = ["set", "unset"].map((name) => ({
  name,
  words: SETTINGS,
  flags: CHANGE_FLAGS,
}));

export function run({ commands, command, args: [shell = "bash"] }: CommandCall) {
  const { words: shells = [] } = command;
  if (!shells.includes(shell)) throw unknownWord(shell, "a shell", shells);
  if (shell === "fish") print(fishScript(commands));
  else print(completionScript(commands));
}

/** The values that a shell offers for a flag. A store has other names as well. */
function offersFor(flag: FlagName) {
  const { choices = [], isStore } = FLAGS[flag];
  return [...choices, ...isStore ? BUILT_IN_NAMES : []].join(" ");
}

/** The words of fish: it takes each with its command. */
function fishScript(commands: readonly Command[]) {
  const line = (condition: string, words: string) =>
    `complete -c ${PROGRAM} -n ${quotePosix(condition)} ${words}\n`;
  const names = commands.map(({ name, summary }) =>
    line("__fish_use_subcommand", `-f -a ${name} -d ${quotePosix(summary)}`)
  );
  const rest = [...commands, ...CHANGES].flatMap(({ name, flags, words = [] }) => {
    const isGiven = `__fish_seen_subcommand_from ${name}`;
    const ofFlags = flags.map((flag) => {
      const { value, help } = FLAGS[flag];
      const offered = offersFor(flag);
      const argument = value === undefined
        ? ""
        : ` -r${offered && ` -f -a ${quotePosix(offered)}`}`;
      return line(isGiven, `-l ${flag}${argument} -d ${quotePosix(help)}`);
    });
    return words.length === 0
      ? ofFlags
      : [line(isGiven, `-f -a ${quotePosix(words.join(" "))}`), ...ofFlags];
  });
  return [...names, ...rest].join("");
}

/** One script for both shells: zsh runs it by its own emulation of bash. */
function completionScript(commands: readonly Command[]) {
  const used = [...new Set(commands.flatMap(({ flags }) => flags))];
  const values = used.map((name) => {
    const { value } = FLAGS[name];
    // Without a word a shell offers files.
    return value && `    --${name}) words="${offersFor(name)}" ;;\n`;
  });
  const cases = [...commands, ...CHANGES].map(({ name, flags, words = [] }) => {
    const ofFlags = [...flags, "help"].map((flag) => `--${flag}`);
    return `    ${name}) words="${words.join(" ")}" flags="${ofFlags.join(" ")}" ;;\n`;
  });
  return `#compdef ${PROGRAM}
[ -z "$ZSH_VERSION" ] || { autoload -U +X bashcompinit && bashcompinit; }
_validmind_auth() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local command="" words="" flags="" word
  for word in "\${COMP_WORDS[@]:1:$((COMP_CWORD-1))}"; do
    case "$word" in -*) ;; config) command="$word" ;; *) command="$word"; break ;; esac
  done
  # bash takes --flag=value for three words.
  if [ "$current" = "=" ]; then current=""
  elif [ "$previous" = "=" ]; then previous="\${COMP_WORDS[COMP_CWORD-2]}"
  fi
  case "$command" in
    "") words="${commands.map(({ name }) => name).join(" ")}" flags="--help --version" ;;
${cases.join("")}  esac
  # Flags are offered beside other words once a dash is typed.
  case "$words|$current" in "|"* | *"|-"*) words="$words $flags" ;; esac
  case "$previous" in
${values.join("")}  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _validmind_auth ${PROGRAM}
[ "$funcstack[1]" != "_${PROGRAM}" ] || _bash_complete -o default -F _validmind_auth
`;
}
