import { readEnvIfGranted } from "../../backends/read_env.ts";
import { notebook } from "./notebook.ts";

/** What a line is cut to where nobody knows how much fits. */
const USUAL_COLUMNS = 80;

/**
 * Whether standard error is a terminal that a person looks at, and that can write over a line. One
 * that says that it cannot (`TERM=dumb`, where that may be read) gets the plain lines of a log.
 */
export function isTerminal(): boolean {
  return notebook() === undefined && Deno.stderr.isTerminal() &&
    readEnvIfGranted("TERM") !== "dumb";
}

/** The size of the terminal; no rows, where it is not known. */
export function screen(): { columns: number; rows: number } {
  try {
    const { columns, rows } = Deno.consoleSize();
    if (columns > 0) return { columns, rows };
  } catch {
    // as below
  }
  return { columns: USUAL_COLUMNS, rows: 0 };
}

/** As much of a line as fits: one that wraps could not be written over. */
export function fit(line: string): string {
  return line.slice(0, Math.max(0, screen().columns - 1));
}
