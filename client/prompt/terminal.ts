import { readEnvIfGranted } from "../../backends/common/read_env.ts";
import { printable } from "../../backends/common/printable.ts";

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

/**
 * A line in the person's terminal for as long as something takes. Nothing in a log, where it would
 * stay, and in a notebook, whose outputs are kept. Written at once, so that it is gone before what
 * is printed next.
 */
export function terminalNotice(text: string): { erase(): void } {
  const line = isTerminal() ? fit(printable(text)) : "";
  write(line);
  return { erase: () => write(line && `\r${" ".repeat(line.length)}\r`) };
}

function write(text: string): void {
  if (text === "") return;
  try {
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  } catch {
    // There is no other place to tell it.
  }
}

/** What a notebook's kernel offers for display. */
export type Jupyter = Pick<typeof Deno.jupyter, "broadcast">;

/** The kernel that this code runs in, if it runs in one. */
export function notebook(): Jupyter | undefined {
  try {
    return Deno.jupyter; // throws outside a kernel
  } catch {
    return undefined;
  }
}
