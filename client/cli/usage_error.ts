import { didYouMean } from "./nearest_word.ts";

export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code = "usage";
}

export function unknownWord(
  word: string,
  place: string,
  choices: readonly string[],
  more = "",
): UsageError {
  const parts = [
    `Cannot use ${shown(word, "that value")} as ${place}: it is not known.`,
    didYouMean(word, choices) ?? [],
    `It takes: ${choices.join(", ")}${more}.`,
  ];
  return new UsageError(parts.flat().join(" "));
}

/** A word as an error shows it. A long or unusual word may be a misplaced secret. */
export function shown(word: string, otherwise: string): string {
  return /^[\w.:-]{1,24}$/.test(word) ? `"${word}"` : otherwise;
}
