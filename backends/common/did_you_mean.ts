/** "Did you mean …?" for a name that differs from a known one by few letters, else an empty text. */
export function didYouMean(name: string, known: readonly string[]): string {
  const letters = (text: string) => text.toLowerCase().replaceAll(/[-_]/g, "");
  const offBy = (one: string) => differences(letters(name), letters(one));
  const near = known.toSorted((one, other) => offBy(one) - offBy(other))[0];
  const isNear = near !== undefined && offBy(near) <= Math.max(1, letters(name).length / 4);
  return isNear ? `Did you mean "${near}"?` : "";
}

/** The number of letters that only one of two words has, whatever their order. */
function differences(one: string, other: string): number {
  let rest = other;
  const lacking = [...one].filter((letter) => rest === (rest = rest.replace(letter, "")));
  return Math.max(lacking.length, rest.length);
}
