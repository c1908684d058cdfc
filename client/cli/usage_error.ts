/** A command line that cannot be used. */
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
  const near = didYouMean(word, choices);
  return new UsageError(
    `Cannot use ${shown(word, "that value")} as ${place}: it is not known. ` +
      `${near && `${near} `}It takes: ${choices.join(", ")}${more}.`,
  );
}

/** A word as an error shows it. A long or unusual word may be a misplaced secret. */
export function shown(word: string, otherwise: string): string {
  return /^[\w.:-]{1,24}$/.test(word) ? `"${word}"` : otherwise;
}

/** The question "Did you mean …?" if a known word is near enough, else nothing. */
export function didYouMean(word: string, known: readonly string[], dashes = ""): string {
  const near = nearestWords(word.toLowerCase(), known).map((one) => dashes + one);
  return near.length === 0 ? "" : `Did you mean ${near.join(" or ")}?`;
}

/** The words that begin with `word`, else the one with the smallest distance. */
function nearestWords(word: string, known: readonly string[]): readonly string[] {
  const longer = word.length < 2 ? [] : known.filter((one) => one.toLowerCase().startsWith(word));
  if (longer.length > 0) return longer.slice(0, 3);
  const limit = Math.max(1, Math.floor(word.length / 3));
  // The distance is at least the difference of the lengths. A long word would take long.
  return known.filter((one) => Math.abs(one.length - word.length) <= limit)
    .map((one) => ({ one, distance: editDistance(word, one.toLowerCase()) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 1).map(({ one }) => one);
}

/** Number of letters to insert, remove, replace or swap with the next one. */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const isSame = from[row - 1] === to[column - 1];
      const isSwapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      current[column] = Math.min(
        last[column]! + 1,
        current[column - 1]! + 1,
        last[column - 1]! + (isSame ? 0 : 1),
        isSwapped ? beforeLast[column - 2]! + 1 : Infinity,
      );
    }
    [beforeLast, last] = [last, current];
  }
  return last[to.length]!;
}
