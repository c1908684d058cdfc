import { didYouMean } from "../../backends/credentials_backend_error.ts";
import { optionNamed, optionRow } from "../options/declaration.ts";
import { shown } from "../options/settings_file.ts";

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
  const variable = option && optionRow(option).variable;
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

/** Writes bytes of a result to standard output. */
export function write(bytes: Uint8Array): void {
  try {
    writeAll(Deno.stdout, bytes);
  } catch (error) {
    // A pipe whose reader, such as `head`, has ended, or `>&-`.
    const { BrokenPipe, BadResource } = Deno.errors;
    if (error instanceof BrokenPipe || error instanceof BadResource) return;
    const name = error instanceof Error ? error.name : "unknown error";
    const message = `Cannot write to standard output: ${name}. Redirect it to another place.`;
    throw new CliError(message, "output_failed");
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
  const escape = (character: string) => character.split("").map(escapeUnit).join("");
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
  width = Infinity,
): string {
  const last = Math.max(0, ...rows.map((row) => row.length)) - 1;
  const widths = Array.from(
    { length: last },
    (_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)),
  );
  const start = widths.reduce((sum, one) => sum + one + 2, indent.length);
  return rows.map((row) => {
    const head = widths.map((one, index) => (row[index] ?? "").padEnd(one) + "  ").join("");
    const text = wrap(row[last] ?? "", width - start).join(`\n${" ".repeat(start)}`);
    return `${indent}${head}${text}`.replaceAll(/ +$/gm, "") + "\n";
  }).join("");
}

/** Lines of at most `width` characters, unless a word is longer. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && longer.length <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
