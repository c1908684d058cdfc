import { VERSION } from "../signed_in/session.ts";
import {
  columns,
  type Command,
  EXIT,
  EXIT_WORDS,
  type FlagName,
  FLAGS,
  FlagValues,
  note,
  print,
  PROGRAM,
  SPECIFIER,
  unknownWord,
  usageError,
} from "./command.ts";
import { api } from "./commands/api.ts";
import { config, permissions } from "./commands/config.ts";
import { doctor } from "./commands/doctor.ts";
import { login, logout, migrate } from "./commands/login.ts";
import { list, status } from "./commands/status.ts";
import { exec, token } from "./commands/token.ts";
import { shown } from "../options/settings_path.ts";
import { preflight } from "../permissions/preflight.ts";
import { fileNeeds } from "./sign_in_target.ts";
import { reportError } from "./report_error.ts";

const completions: Command = {
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
    print(script());
    return EXIT.ok;
  },
};

/** All commands. Parsing, help, completions and the reference are made from this table. */
export const COMMANDS: readonly Command[] = [
  login,
  status,
  list,
  token,
  exec,
  api,
  logout,
  migrate,
  doctor,
  config,
  permissions,
  completions,
];

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
    return await command.run(flags, line.args);
  } catch (error) {
    const flags = line?.flags;
    const command = args.find((word) => COMMANDS.some(({ name }) => name === word));
    return reportError(error, flags?.has("json") ?? args.includes("--json"), command, flags);
  }
}

/**
 * Parses the arguments by the tables of commands and flags. The error for the first argument that is
 * unknown, missing or superfluous shows no value that may be a secret. There is no command where help or
 * the version is all that is asked for.
 */
export function parseCommandLine(args: readonly string[]) {
  const flags = new FlagValues();
  const words: string[] = [];
  const rest = [...args];
  const named = () => COMMANDS.find(({ name }) => name === words[0]);
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const [, raw, inline] = /^(--?[^-=][^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
    if (raw !== undefined) {
      const name = flagNamed(raw, named());
      // A lone dash is standard input. Any other word that begins with a dash is the next flag.
      const isNext = inline === undefined && FLAGS[name].value !== undefined &&
        !/^-./.test(rest[0] ?? "-x");
      addFlag(flags, name, isNext ? rest.shift() : inline);
      continue;
    }
    if (arg !== "--") words.push(arg);
    const isProgram = words.length > 1 && named()?.isRest;
    if (arg === "--" || isProgram) words.push(...rest.splice(0));
  }
  const [word, ...more] = words;
  const command = named();
  if (command !== undefined) assertTaken(command, flags, more);
  else if (word !== undefined) {
    throw unknownWord(word, "a command", COMMANDS.map(({ name }) => name));
  }
  return { command, flags, args: more };
}

const NAMES = Object.keys(FLAGS) as FlagName[];

/** The flag that stands there with its dashes. */
function flagNamed(raw: string, command: Command | undefined): FlagName {
  const text = raw.replace(/^-+/, "");
  const found = NAMES.find((name) => name === text || FLAGS[name].short === text);
  if (found !== undefined) return found;
  throw unknownWord(raw, "a flag", (command?.flags ?? NAMES).map((name) => `--${name}`));
}

function addFlag(flags: FlagValues, name: FlagName, value: string | undefined): void {
  const { value: placeholder, choices, isRepeatable } = FLAGS[name];
  const before = flags.get(name);
  const fault = before !== undefined && !isRepeatable
    ? "it is given twice. Give it once."
    : placeholder === undefined
    ? value !== undefined && "it takes no value. Give it alone."
    : (name === "audience" ? value === undefined : !value?.trim()) && // an empty one means none
      `its value is missing. Give --${name} ${placeholder}.`;
  if (fault) throw usageError(`Cannot use --${name}: ${fault}`);
  if (value && choices?.includes(value) === false) throw unknownWord(value, `--${name}`, choices);
  flags.set(name, [...before ?? [], ...value === undefined ? [] : [value]]);
}

function assertTaken(
  { name, flags, args }: Command,
  given: FlagValues,
  words: readonly string[],
): void {
  const taken: readonly FlagName[] = [...flags, "help", "version"];
  const flag = given.keys().find((one) => !taken.includes(one));
  const superfluous = flag === undefined
    ? args === undefined && words[0] !== undefined && shown(words[0], "an argument")
    : `--${flag}`;
  if (!superfluous) return;
  throw usageError(
    `Cannot use ${superfluous}: the command ${name} does not take it. Leave it out.`,
  );
}

const WIDTH = 80;

/** The help of one command, or of the whole program. */
function helpText(command: Command | undefined): string {
  const text = (line: string) => columns([[line]], "", WIDTH);
  const part = (title: string, rows: readonly (readonly string[])[]) =>
    `${title}:\n${columns(rows, "  ", WIDTH)}`;
  const exits = part("Exit codes", Object.entries(EXIT_WORDS));
  if (command === undefined) {
    return [
      text(
        "Signs in to an API behind an OpenID Provider, and prints its token for other programs.",
      ),
      part("Usage", [[`${PROGRAM} <command> [flags]`], [
        `deno run … ${SPECIFIER} <command> [flags]`,
      ]]),
      part("Commands", COMMANDS.map(({ name, summary }) => [name, summary])),
      part("Flags", flagRows(["help", "version"])),
      text(
        "Each command has its own flags: see <command> --help. Variables and a settings file can take " +
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
    part("Usage", [[`${PROGRAM} ${name} [flags] ${args}`]]),
    ...details.map(text),
    part("Flags", flagRows([...flags, "help"])),
    `Examples:\n${columns(examples.map((line) => [`${PROGRAM} ${line}`]), "  ")}`,
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

/** One script for both shells: zsh runs it by its own emulation of bash. */
function script(): string {
  const used = [...new Set(COMMANDS.flatMap(({ flags }) => flags))];
  const values = used.map((name) => {
    const { value, choices, suggestions = [] } = FLAGS[name];
    // Without a word a shell offers files.
    return value && `    --${name}) words="${(choices ?? suggestions).join(" ")}" ;;\n`;
  });
  const cases = COMMANDS.map(({ name, flags }) => {
    const words = [...flags.map((flag) => `--${flag}`), "--help"];
    return `    ${name}) words="${words.join(" ")}" ;;\n`;
  });
  return `#compdef ${PROGRAM}
[ -z "$ZSH_VERSION" ] || { autoload -U +X bashcompinit && bashcompinit; }
_validmind_auth() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local command="" words="${COMMANDS.map(({ name }) => name).join(" ")} --help --version" word
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
