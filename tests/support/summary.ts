import type { Tally } from "./tally.ts";

/** How a run went, in words and as a whole. */
export interface Summary {
  lines: string[];
  isGood: boolean;
}

/**
 * Adds up the tallies of a run, by the file's name. The second try of a file counts in the place of its
 * first one; files that needed it are named with the tests that failed at first, so that one that fails
 * now and then is seen.
 *
 * @param cause The cause of faults that are known, such as `Wine`.
 */
export function summarize(
  first: ReadonlyMap<string, Tally>,
  second: ReadonlyMap<string, Tally>,
  cause: string,
): Summary {
  const last = [...new Map([...first, ...second]).values()];
  const count = (of: (tally: Tally) => number) => last.reduce((sum, tally) => sum + of(tally), 0);
  const mended = count((tally) => tally.mended.length);
  const failed = count((tally) => tally.failed.length);
  const late = [...second].filter(([, tally]) => tally.failed.length === 0);
  const lines = late.map(([file]) =>
    `  ${file}: ${first.get(file)!.failed.map(({ name }) => name).join("; ")}`
  );
  if (late.length > 0) lines.unshift("Passed at the second try, alone:");
  lines.push(
    `${count((tally) => tally.ignored)} ignored, ` +
      `${count((tally) => tally.known.length)} failed as is known of ${cause}` +
      (mended > 0 ? `, ${mended} to be taken off its list` : ""),
    `${count((tally) => tally.passed)} passed, ${failed} failed, ${first.size} files, ` +
      `${late.length} of them at the second try`,
  );
  return { lines, isGood: failed + mended === 0 };
}
