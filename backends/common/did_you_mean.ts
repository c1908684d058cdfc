/** "Did you mean …?" for a name that differs from a known one by few letters, else an empty text. */
export function didYouMean(name: string, known: readonly string[]): string {
  const letters = lettersOf(name);
  const offBy = (one: string) => differences(letters, lettersOf(one));
  const [near] = known.toSorted((one, other) => offBy(one) - offBy(other));
  if (near === undefined || offBy(near) > Math.max(1, letters.length / 4)) return "";
  return `Did you mean "${near}"?`;
}

function lettersOf(name: string): string {
  return name.toLowerCase().replaceAll(/[-_]/g, "");
}

/** The number of letters that only one of two words has, whatever their order. */
function differences(one: string, other: string): number {
  let rest = other;
  let lacking = 0;
  for (const letter of one) {
    if (!rest.includes(letter)) lacking++;
    rest = rest.replace(letter, "");
  }
  return Math.max(lacking, rest.length);
}
