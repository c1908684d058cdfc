import { screen } from "../prompt/terminal.ts";

/** Width of a text that goes to a file or to another program. */
const USUAL_COLUMNS = 80;
/** Longer lines are hard to read. */
const WIDEST = 100;

/** Destination of a command's text. */
export interface Output {
  /** Width that texts are wrapped to. */
  readonly columns: number;
  /** Writes a result to standard output. */
  print(text: string): void;
  /** Writes anything else to standard error. */
  note(text: string): void;
}

/** The process's own standard output and standard error. */
export class StandardOutput implements Output {
  get columns(): number {
    const { columns } = Deno.stdout.isTerminal() ? screen() : { columns: USUAL_COLUMNS };
    return Math.min(columns, WIDEST);
  }

  print(text: string): void {
    try {
      writeAll(Deno.stdout, text);
    } catch (error) {
      if (isClosed(error)) return; // the reader, such as `head`, has ended
      const name = error instanceof Error ? error.name : "unknown error";
      throw new OutputError(
        `Cannot write to standard output: ${name}. Redirect it to another place.`,
      );
    }
  }

  note(text: string): void {
    try {
      writeAll(Deno.stderr, text);
    } catch {
      // No other place is left.
    }
  }
}

/** The error for a result that could not be written. */
export class OutputError extends Error {
  override readonly name = "OutputError";
  readonly code = "output_failed";
}

/** Control and format characters except line ends, which a terminal would act on. */
const CONTROLS = /[^\P{C}\n]/gu;

/** A value as JSON text, with control characters of its strings as escapes. */
export function toJsonText(value: unknown, indent?: number): string {
  const escape = (character: string) =>
    Array.from(
      { length: character.length },
      (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`,
    ).join("");
  return `${JSON.stringify(value, null, indent).replaceAll(CONTROLS, escape)}\n`;
}

/** Writes a text without control characters, whatever it was made from. */
function writeAll(stream: typeof Deno.stdout, text: string): void {
  let rest = new TextEncoder().encode(text.replaceAll(CONTROLS, " "));
  while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
}

/** A pipe without a reader, or `>&-`. */
function isClosed(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.BadResource;
}
