import type { Output } from "./output.ts";

/** Whether a person can be asked: both streams of the question are a terminal. */
export function canConfirm(): boolean {
  return Deno.stdin.isTerminal() && Deno.stderr.isTerminal();
}

/** Asks a question on standard error. Any answer other than "y" or "yes" means no. */
export async function confirm(question: string, output: Output): Promise<boolean> {
  output.note(`${question} [y/N] `);
  const buffer = new Uint8Array(256);
  const length = await Deno.stdin.read(buffer) ?? 0;
  return /^y(es)?$/i.test(new TextDecoder().decode(buffer.subarray(0, length)).trim());
}
