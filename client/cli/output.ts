import { readEnvIfGranted } from "../../backends/common/platform.ts";
import { screen } from "../prompt/terminal.ts";

/** Width of a text that goes to a file or to another program. */
const USUAL_COLUMNS = 80;
/** Longer lines are hard to read. */
const WIDEST = 100;
/** In fewer columns hardly a word has room. */
const NARROWEST = 20;

export interface Output {
  /** The width of standard output. */
  readonly columns: number;
  /** The width of standard error. */
  readonly noteColumns: number;
  /** Writes a result to standard output. */
  print(text: string): void;
  /** Writes anything else to standard error. */
  note(text: string): void;
}

/** The process's own standard output and standard error. */
export class StandardOutput implements Output {
  get columns(): number {
    return columnsOf(Deno.stdout);
  }

  get noteColumns(): number {
    return columnsOf(Deno.stderr);
  }

  print(text: string): void {
    try {
      writeAll(Deno.stdout, text);
    } catch (error) {
      // A pipe whose reader, such as `head`, has ended, or `>&-`.
      const { BrokenPipe, BadResource } = Deno.errors;
      if (error instanceof BrokenPipe || error instanceof BadResource) return;
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

/** The width of a stream: as `COLUMNS` says where it is set, else as its terminal has it. */
function columnsOf(stream: typeof Deno.stdout): number {
  const set = Number(readEnvIfGranted("COLUMNS"));
  const ofTerminal = () => stream.isTerminal() ? screen().columns : USUAL_COLUMNS;
  const columns = Number.isInteger(set) && set > 0 ? set : ofTerminal();
  return Math.max(NARROWEST, Math.min(columns, WIDEST));
}

export class OutputError extends Error {
  override readonly name = "OutputError";
  readonly code = "output_failed";
}

/** Control and format characters except line ends, which a terminal would act on. */
const CONTROLS = /[^\P{C}\n]/gu;

/** A value as JSON text, with control characters of its strings as escapes. */
export function toJsonText(value: unknown, indent?: number): string {
  const escapeUnit = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  const escape = (character: string) => character.split("").map(escapeUnit).join("");
  return `${JSON.stringify(value, null, indent).replaceAll(CONTROLS, escape)}\n`;
}

/** Writes a text without control characters, whatever it was made from. */
function writeAll(stream: typeof Deno.stdout, text: string): void {
  let rest = new TextEncoder().encode(text.replaceAll(CONTROLS, " "));
  while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
}
