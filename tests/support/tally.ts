import { type JunitCase, junitCases } from "./reports.ts";

/** A test that fails in an environment, for a reason of that environment's. */
export interface KnownFault {
  /** The test's file, from the root of the repository. */
  readonly file: string;
  /** Its whole name. */
  readonly test: string;
  /** What is different there. */
  readonly reason: string;
}

/** How the tests of one file went. */
export interface Tally {
  passed: number;
  /** Names of tests, each with its message. */
  failed: { name: string; message: string }[];
  /** Tests that failed, as is known. */
  known: KnownFault[];
  /** Tests that passed, although they are said to fail. */
  mended: KnownFault[];
  ignored: number;
}

/**
 * Reads the report of a file. A run that ended badly without a failed test, or without a report,
 * counts as one failure: its reason is `trouble`.
 */
export function tallyFile(
  file: string,
  report: string | undefined,
  trouble: string | undefined,
  faults: readonly KnownFault[],
): Tally {
  const tally: Tally = { passed: 0, failed: [], known: [], mended: [], ignored: 0 };
  const here = faults.filter((fault) => fault.file === file);
  const cases = report === undefined ? [] : junitCases(report);
  for (const one of cases) note(tally, one, here.find(({ test }) => test === one.name));
  if (report !== undefined) {
    const names = new Set(cases.map(({ name }) => name));
    for (const { test } of here) {
      if (!names.has(test)) tally.failed.push({ name: test, message: "is listed, but not there" });
    }
  }
  const isTold = tally.failed.length + tally.known.length > 0;
  // Wine may give the exit code 0 to a process that ended badly.
  const message = trouble ?? (report === undefined ? "there is no report" : undefined);
  if (message !== undefined && !isTold) tally.failed.push({ name: file, message });
  return tally;
}

function note(tally: Tally, { name, outcome, message }: JunitCase, fault?: KnownFault): void {
  if (outcome === "ignored") tally.ignored++;
  else if (outcome === "passed") {
    tally.passed++;
    if (fault !== undefined) tally.mended.push(fault);
  } else if (fault !== undefined) tally.known.push(fault);
  else tally.failed.push({ name, message });
}
