import { nearestWord } from "./nearest_word.ts";

/** An error in the command line. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code = "usage";
}

/** The error for a value that is none of the known words. */
export function unknownWord(
  word: string,
  place: string,
  choices: readonly string[],
  more = "",
): UsageError {
  const near = nearestWord(word, choices);
  return new UsageError(
    `Cannot use ${shown(word, "that value")} as ${place}: it is not known. ` +
      (near === undefined ? "" : `Did you mean ${near}? `) +
      `It takes: ${choices.join(", ")}${more}.`,
  );
}

/** A word as an error shows it. A long or unusual word may be a misplaced secret. */
export function shown(word: string, otherwise: string): string {
  return /^[\w.:-]{1,24}$/.test(word) ? `"${word}"` : otherwise;
}
