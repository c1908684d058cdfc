import { BACKEND_VARIABLES } from "../../backends/common/backend_choice.ts";
import { didYouMean } from "../../backends/common/did_you_mean.ts";
import { BUILT_IN_NAMES } from "../../backends/load/create_backend.ts";
import type { MaybePromise } from "../../backends/oidc_credentials_backend.ts";
import { OPTION_NAMES, optionNamed, optionRow, type OPTIONS } from "../options/declaration.ts";
import { CONFIG_VARIABLE, shown, USUAL_SETTINGS } from "../options/settings_path.ts";

/** An error of the command line itself, in its own words. */
export class CliError extends Error {
  override readonly name = "CliError";

  constructor(
    message: string,
    readonly code: "usage" | "output_failed" | "program_failed",
    readonly exit: number = 1,
  ) {
    super(message);
  }
}

/** A command line that cannot be used. */
export function usageError(message: string): CliError {
  return new CliError(message, "usage", 2);
}

/** The error for a word that is not among the known ones. No secret has a flag or a setting. */
export function unknownWord(word: string, place: string, choices: readonly string[]): CliError {
  const option = optionNamed(word.replace(/^-+/, ""));
  const row = option && optionRow(option);
  // An option with a flag is not lacking: its name stands in a wrong place.
  const variable = row?.flag === undefined ? row?.variable : undefined;
  const hint = variable === undefined
    ? didYouMean(word, choices) || `It takes: ${choices.join(", ")}.`
    : `Set ${variable} instead.`;
  const name = shown(word, "that");
  return usageError(`Cannot use ${name} as ${place}: it is not known. ${hint}`);
}

/** Writes a result to standard output. */
export function print(text: string): void {
  write(plain(text));
}

/** Writes bytes of a result to standard output, and tells whether somebody reads them. */
export function write(bytes: Uint8Array): boolean {
  try {
    writeAll(Deno.stdout, bytes);
    return true;
  } catch (error) {
    // A pipe whose reader, such as `head`, has ended, or `>&-`.
    const { BrokenPipe, BadResource } = Deno.errors;
    if (error instanceof BrokenPipe || error instanceof BadResource) return false;
    throw new CliError(
      "Cannot write to standard output: the system does not take it. Make space, or redirect it.",
      "output_failed",
    );
  }
}

/** Writes anything else to standard error. */
export function note(text: string): void {
  try {
    writeAll(Deno.stderr, plain(text));
  } catch {
    // No other place is left.
  }
}

/** Control and format characters except line ends, which a terminal would act on. */
const CONTROLS = /[^\P{C}\n]/gu;

/** A value as JSON text, with control characters of its strings as escapes. */
export function toJsonText(value: unknown, indent?: number): string {
  const escapeUnit = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  const escape = (character: string) => character.replaceAll(/./gs, escapeUnit);
  return `${JSON.stringify(value, null, indent).replaceAll(CONTROLS, escape)}\n`;
}

/** The same with the names of its members as JSON has them in all reports. */
export function snakeCase(fields: object): Record<string, unknown> {
  const nameOf = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [nameOf(name), value]));
}

/** A text without control characters, whatever it was made from. */
function plain(text: string): Uint8Array {
  return new TextEncoder().encode(text.replaceAll(CONTROLS, " "));
}

function writeAll(stream: typeof Deno.stdout, bytes: Uint8Array): void {
  let rest = bytes;
  while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
}

/** Rows in columns, without trailing spaces. Wraps the last column to `width`. */
export function columns(
  rows: readonly (readonly string[])[],
  indent = "",
  width = 10_000,
): string {
  const last = Math.max(0, ...rows.map((row) => row.length)) - 1;
  const widths = Array.from(
    { length: last },
    (_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)),
  );
  const start = widths.reduce((sum, one) => sum + one + 2, indent.length);
  return rows.map((row) => {
    const head = widths.map((one, index) => (row[index] ?? "").padEnd(one) + "  ").join("");
    // A line is as long as fits, unless a word is longer.
    const line = new RegExp(`(.{1,${width - start}})(?:[ \\n]|$)`, "g");
    const text = (row[last] ?? "").replaceAll(line, `$1\n${" ".repeat(start)}`);
    return `${indent}${head}${text}`.trimEnd().replaceAll(/ +$/gm, "") + "\n";
  }).join("");
}

/** The program's name and specifier, as its own texts give them. */
export const PROGRAM = "validmind-auth";
export const SPECIFIER = "jsr:@validmind/auth/cli";

/** Exit codes that a script can tell apart. {@linkcode EXIT_WORDS} explains them. */
export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  signInNeeded: 4,
  programRefused: 126,
  programAbsent: 127,
  interrupted: 130,
  terminated: 143,
} as const;

export const EXIT_WORDS = {
  0: "done",
  1: "failed: see standard error",
  2: "a command, flag, value or variable is unknown, wrong or missing",
  4: "a person has to sign in: run login",
  126: "exec could not start the program",
  127: "exec did not find the program",
  130: "the person ended a sign-in in the browser",
  143: "SIGTERM ended a sign-in in the browser",
} satisfies Record<typeof EXIT[keyof typeof EXIT], string>;

/** One command. Parser, help, completions and reference are made from it. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  /** Paragraphs below the summary. */
  readonly details: readonly string[];
  readonly flags: readonly FlagName[];
  /** Placeholders for its arguments. A command without them takes none. */
  readonly args?: string;
  /** Whether all words from the first argument on are arguments, flags as well. */
  readonly isRest?: boolean;
  /** Lines to copy, without the program's name. */
  readonly examples: readonly string[];
  /** Completes "Cannot …" in errors. */
  readonly action: string;
  /** Does the work and returns the exit code. `args` are the words after the command that are no flags. */
  run(flags: FlagValues, args: readonly string[]): MaybePromise<number>;
}

/** Prints a result as JSON with `--json`, not at all with `--quiet`, else as text. */
export function printResult(flags: FlagValues, result: object, text: string): void {
  if (flags.has("json")) print(toJsonText(snakeCase(result), 2));
  else if (!flags.has("quiet")) print(text);
}

/** One flag. Parser, help, completions and reference are made from it. */
interface Flag {
  readonly summary: string;
  /** A letter that stands for the name after one dash. */
  readonly short?: string;
  /** Placeholder for its value in help. A flag without a placeholder takes no value. */
  readonly value?: string;
  /** All values that it takes, if they are few. */
  readonly choices?: readonly string[];
  /** Values that a shell offers. Others are accepted. */
  readonly suggestions?: readonly string[];
  /** Whether it may be given more than once. */
  readonly isRepeatable?: boolean;
  /** The variable that is read if the flag is not given. */
  readonly variable?: string;
}

const store = (summary: string, variable?: string) =>
  ({ value: "NAME", suggestions: BUILT_IN_NAMES, summary, variable }) as Flag;

/** What `token` can print in place of the bare token. */
export const TOKEN_FORMATS = ["exec-credential", "git", "header", "json"] as const;

/** The flags beside those of the options. */
const OWN_FLAGS = {
  "backend": store(
    "the store for tokens: a built-in name, or <module>:<ExportName>",
    BACKEND_VARIABLES.name,
  ),
  "backend-options": {
    value: "FILE",
    summary: "JSON file with the options of --backend",
  },
  "config": {
    value: "FILE",
    variable: CONFIG_VARIABLE,
    summary: `the settings file, in place of ${USUAL_SETTINGS}`,
  },
  "from": store("the backend that has the entries"),
  "from-options": { value: "FILE", summary: "JSON file with the options of --from" },
  "to": store("the backend that gets the entries"),
  "to-options": { value: "FILE", summary: "JSON file with the options of --to" },
  "delete-source": { summary: "delete each entry from --from after its copy was read back" },
  "no-open": { summary: "show the link only, and open no browser" },
  "login": { summary: "ask the person to sign in if needed" },
  "refresh": { summary: "get a new token even if the stored one is still valid" },
  "format": { value: "FORMAT", choices: TOKEN_FORMATS, summary: "print the token in another form" },
  "variable": { value: "NAME", summary: "the variable for the token, instead of VM_ACCESS_TOKEN" },
  "revoke": { summary: "also ask the provider to end the tokens" },
  "all": { summary: "remove every entry from the backend" },
  "for": {
    value: "WHAT",
    choices: ["script", "init", "cli"],
    summary: "the code with the sign-in",
  },
  "discover": { summary: "ask the provider for its other hosts, and list them too" },
  "method": {
    value: "METHOD",
    short: "X",
    summary: "the HTTP method; without it GET, or POST with a body",
  },
  "field": {
    value: "NAME=VALUE",
    short: "F",
    isRepeatable: true,
    summary: "a member of the body, as JSON or text; @FILE reads a file",
  },
  "raw-field": {
    value: "NAME=VALUE",
    short: "f",
    isRepeatable: true,
    summary: "a member of the body, as text",
  },
  "input": { value: "FILE", summary: "file with the body; - reads standard input" },
  "header": {
    value: "HEADER",
    short: "H",
    isRepeatable: true,
    summary: "a header of the request, as NAME:VALUE",
  },
  "json": { summary: "print JSON" },
  "quiet": { short: "q", summary: "print errors only; the exit code is the answer" },
  "help": { short: "h", summary: "show help" },
  "version": { short: "V", summary: "print the version" },
} satisfies Record<string, Flag>;

type OptionFlag = Extract<typeof OPTIONS[keyof typeof OPTIONS], { flag: string }>["flag"];

export type FlagName = OptionFlag | keyof typeof OWN_FLAGS;

/** All flags of all commands. A name means the same in every command. */
export const FLAGS: Readonly<Record<FlagName, Flag>> = {
  ...Object.fromEntries(
    OPTION_NAMES.map(optionRow).filter(({ flag }) => flag !== undefined).map((row) => [row.flag, {
      summary: row.help,
      value: row.value,
      variable: row.variable,
      choices: typeof row.type === "string" ? undefined : row.type,
      isRepeatable: row.type === "texts",
    }]),
  ) as unknown as Record<OptionFlag, Flag>,
  ...OWN_FLAGS,
};

/** The flags of a command line, each with its values: none for a flag that takes none. */
export class FlagValues extends Map<FlagName, readonly string[]> {
  /** The value of a flag, if it is given and takes one. */
  text(name: FlagName): string | undefined {
    return this.get(name)?.[0];
  }
}
