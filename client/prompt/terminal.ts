import { notebook } from "./notebook.ts";

/** Whether standard error is a terminal that a person looks at. */
export function isTerminal(): boolean {
  return notebook() === undefined && Deno.stderr.isTerminal();
}

/** The size of the terminal; 0 where it is not known. */
export function screen(): { columns: number; rows: number } {
  try {
    return Deno.consoleSize();
  } catch {
    return { columns: 0, rows: 0 };
  }
}

/** As much of a line as fits: one that wraps could not be written over. */
export function fit(line: string): string {
  return line.slice(0, Math.max(0, screen().columns - 1));
}
