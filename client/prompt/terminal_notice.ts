import { printable } from "../printable.ts";
import { fit, isTerminal } from "./terminal.ts";

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
