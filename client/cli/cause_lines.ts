import { printable } from "../../backends/common/printable.ts";

/**
 * A line for each cause of an error that says more than the error does, each after a line end. Only
 * for errors of this module: by their contract they have no cause that holds a secret.
 */
export function causeLines({ message, cause }: { message: string; cause?: unknown }): string {
  if (!(cause instanceof Error) || message.includes(cause.message)) return "";
  return `\ncaused by ${cause.name}: ${printable(cause.message, 500)}${causeLines(cause)}`;
}
