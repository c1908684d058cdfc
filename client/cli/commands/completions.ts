import { quotePosix } from "../../../backends/common/platform.ts";
import { type Command, EXIT, printResult, PROGRAM, simplePlan } from "../command.ts";
import { type FlagName, flagOf } from "../flags.ts";

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
    argument: { name: "shell", choices: Object.keys(WRITERS) },
    flags: ["json"],
    examples: [`completions fish > ~/.config/fish/completions/${PROGRAM}.fish`],
    action: "print the completions",
    prepare: () => simplePlan(),
    run: (_, invocation) => {
      const { argument } = invocation;
      const script = WRITERS[argument as keyof typeof WRITERS](commands());
      printResult(invocation, { shell: argument, script }, script);
      return EXIT.ok;
    },
  };
}

function allFlags({ flags }: Command): FlagName[] {
  return [...flags, "help"];
}

function isFile(name: FlagName): boolean {
  return flagOf(name).value === "FILE";
}

function offered(name: FlagName): readonly string[] {
  const { choices, suggestions } = flagOf(name);
  return choices ?? suggestions ?? [];
}

function bashScript(commands: readonly Command[]): string {
  const names = commands.map(({ name }) => name).join(" ");
  const cases = commands.map((command) => {
    const flags = allFlags(command).map((name) => `--${name}`);
    const words = [...flags, ...command.argument?.choices ?? []].join(" ");
    return `    ${command.name}) words="${words}" ;;`;
  });
  const used = [...new Set(commands.flatMap(({ flags }) => flags))];
  const values = used.flatMap((name) => {
    const { value } = flagOf(name);
    if (value === undefined) return [];
    const reply = isFile(name)
      ? `compopt -o filenames 2>/dev/null; local IFS=$'\\n'; COMPREPLY=($(compgen -f -- "$current"))`
      : `COMPREPLY=($(compgen -W "${offered(name).join(" ")}" -- "$current"))`;
    return [`    --${name}) ${reply}; return ;;`];
  });
  return [
    `_validmind_auth() {`,
    `  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"`,
    `  local command="" words="${names} --help --version" word`,
    `  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do`,
    `    case "$word" in -*) ;; *) command="$word"; break ;; esac`,
    `  done`,
    // bash takes --flag=value for three words.
    `  if [ "$current" = "=" ]; then`,
    `    current=""`,
    `  elif [ "$previous" = "=" ]; then`,
    `    previous="\${COMP_WORDS[COMP_CWORD-2]}"`,
    `  fi`,
    `  case "$previous" in`,
    ...values,
    `  esac`,
    `  case "$command" in`,
    ...cases,
    `  esac`,
    `  COMPREPLY=($(compgen -W "$words" -- "$current"))`,
    `}`,
    `complete -F _validmind_auth ${PROGRAM}`,
    ``,
  ].join("\n");
}

function zshScript(commands: readonly Command[]): string {
  const described = commands.map(({ name, summary }) => `    ${quotePosix(`${name}:${summary}`)}`);
  const cases = commands.map((command) => {
    const specs = allFlags(command).map((name) => `      ${quotePosix(zshSpec(name))}`);
    if (command.argument !== undefined) {
      const { name, choices } = command.argument;
      specs.push(`      ${quotePosix(`1:${name}:(${choices.join(" ")})`)}`);
    }
    return [`    ${command.name}) _arguments \\`, specs.join(" \\\n"), `      ;;`].join("\n");
  });
  return [
    `#compdef ${PROGRAM}`,
    `_validmind_auth() {`,
    `  local -a commands`,
    `  commands=(`,
    ...described,
    `  )`,
    `  if (( CURRENT == 2 )); then`,
    `    _describe command commands`,
    `    compadd -- --help --version`,
    `    return`,
    `  fi`,
    `  local command=$words[2]`,
    `  shift words`,
    `  (( CURRENT-- ))`,
    `  case $command in`,
    ...cases,
    `  esac`,
    `}`,
    `if [ "$funcstack[1]" = "_${PROGRAM}" ]; then`,
    `  _validmind_auth "$@"`,
    `else`,
    `  compdef _validmind_auth ${PROGRAM}`,
    `fi`,
    ``,
  ].join("\n");
}

function zshSpec(name: FlagName): string {
  const { summary, value } = flagOf(name);
  const text = `--${name}[${summary.replace(/[\[\]\\]/g, "\\$&")}]`;
  if (value === undefined) return text;
  const action = isFile(name) ? "_files" : `(${offered(name).join(" ")})`;
  return `${text}:${value}:${action}`;
}

function fishScript(commands: readonly Command[]): string {
  const lines = [`complete -c ${PROGRAM} -f`];
  const none = "__fish_use_subcommand";
  for (const { name, summary } of commands) {
    lines.push(`complete -c ${PROGRAM} -n ${none} -a ${name} -d ${fishQuote(summary)}`);
  }
  for (const name of ["help", "version"] as const) {
    lines.push(
      `complete -c ${PROGRAM} -n ${none} -l ${name} -d ${fishQuote(flagOf(name).summary)}`,
    );
  }
  for (const command of commands) {
    const seen = fishQuote(`__fish_seen_subcommand_from ${command.name}`);
    for (const name of allFlags(command)) {
      lines.push(`complete -c ${PROGRAM} -n ${seen} ${fishFlag(name)}`);
    }
    const choices = command.argument?.choices;
    if (choices !== undefined) {
      lines.push(`complete -c ${PROGRAM} -n ${seen} -a ${fishQuote(choices.join(" "))}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

function fishFlag(name: FlagName): string {
  const { summary, value } = flagOf(name);
  const takes = value === undefined
    ? ""
    : isFile(name)
    ? " -r -F"
    : ` -x -a ${fishQuote(offered(name).join(" "))}`;
  return `-l ${name}${takes} -d ${fishQuote(summary)}`;
}

function fishQuote(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}
