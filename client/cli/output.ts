import { CliError } from "./command.ts";
import type { FlagValues } from "./flags.ts";

/** Writes a result to standard output. */
export function print(text: string) {
  write(plain(text));
}

/** Writes bytes of a result to standard output, and tells whether somebody reads them. */
export function write(bytes: Uint8Array) {
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
export function note(text: string) {
  try {
    writeAll(Deno.stderr, plain(text));
  } catch {
    // No other place is left.
  }
}

/** Control and format characters except line ends, which a terminal would act on. */
const CONTROLS = /[^\P{C}\n]/gu;

/** A value as JSON text, with control characters of its strings as escapes. */
export function toJsonText(value: unknown, indent?: number) {
  const escapeUnit = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  const escape = (character: string) => character.replaceAll(/./gs, escapeUnit);
  return `${JSON.stringify(value, null, indent).replaceAll(CONTROLS, escape)}\n`;
}

/** The same with the names of its members as JSON has them in all reports. */
export function snakeCase(fields: object) {
  const nameOf = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [nameOf(name), value]));
}

/** A text without control characters, whatever it was made from. */
function plain(text: string) {
  return new TextEncoder().encode(text.replaceAll(CONTROLS, " "));
}

function writeAll(stream: typeof Deno.stdout, bytes: Uint8Array) {
  let rest = bytes;
  while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
}

/** Rows in columns, without trailing spaces. Wraps the last column to `width`. */
export function columns(rows: readonly (readonly string[])[], indent = "", width = 10_000) {
  const last = Math.max(0, ...rows.map((row) => row.length)) - 1;
  const widths = Array.from(
    { length: last },
    (_, index) => Math.max(...rows.map((row) => row[index]?.length ?? 0)),
  );
  const start = widths.reduce((sum, one) => sum + one + 2, indent.length);
  const lineStart = `\n${" ".repeat(start)}`;
  // A line is as long as fits, unless a word is longer.
  const line = new RegExp(`(.{1,${width - start}})(?:[ \\n]|$)`, "g");
  return rows.map((row) => {
    const cells = widths.map((one, index) => (row[index] ?? "").padEnd(one + 2));
    const text = (row[last] ?? "").replaceAll(line, `$1${lineStart}`);
    return `${indent}${cells.join("")}${text}`.trimEnd().replaceAll(/ +$/gm, "") + "\n";
  }).join("");
}

/** Prints a result as JSON with `--json`, else as text. */
export function printResult(flags: FlagValues, result: object, text: string) {
  print(flags.has("json") ? toJsonText(snakeCase(result), 2) : text);
}
