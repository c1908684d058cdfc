/** Reads the reports that `deno test` and `deno coverage` write. */

/** How many tests of a run went how. */
export interface Counts {
  passed: number;
  failed: number;
  ignored: number;
}

/** Lines that could run and lines that did. */
export interface LineCoverage {
  found: number;
  hit: number;
}

/** Counts the test cases of a JUnit report; a test's steps are cases of their own. */
export function countJunit(xml: string): Counts {
  const total = /<testsuites [^>]*\btests="(\d+)" failures="(\d+)" errors="(\d+)"/.exec(xml);
  if (total === null) throw new Error("Cannot count tests: not a JUnit report of deno test.");
  const [tests, failures, errors] = total.slice(1).map(Number) as [number, number, number];
  const ignored = [...xml.matchAll(/<testsuite [^>]*\bdisabled="(\d+)"/g)]
    .reduce((sum, match) => sum + Number(match[1]), 0);
  const failed = failures + errors;
  return { passed: tests - failed - ignored, failed, ignored };
}

/** One test of a report. */
export interface JunitCase {
  /** The file of the test. */
  readonly file: string;
  readonly name: string;
  readonly outcome: "passed" | "failed" | "ignored";
  /** Why it failed. */
  readonly message: string;
}

/** The test cases of a JUnit report, one by one. */
export function junitCases(xml: string): JunitCase[] {
  const cases = xml.matchAll(
    /<testcase name="([^"]*)" classname="([^"]*)"[^>]*?(?:\/>|>(.*?)<\/testcase>)/gs,
  );
  return Array.from(cases, ([, name, file, body = ""]) => {
    const message = /<(?:failure|error)\b[^>]*>(.*?)<\/(?:failure|error)>/s.exec(body)?.[1] ??
      /<(?:failure|error)\b[^>]*?message="([^"]*)"/.exec(body)?.[1];
    const outcome = message !== undefined
      ? "failed"
      : body.includes("<skipped")
      ? "ignored"
      : "passed";
    return {
      file: unescapeXml(file!),
      name: unescapeXml(name!),
      outcome,
      message: unescapeXml(message ?? "").trim(),
    };
  });
}

const XML_NAMES: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replace(/&(\w+);/g, (whole, name) => XML_NAMES[name] ?? whole);
}

/** Adds counts up. */
export function sumCounts(counts: Iterable<Counts>): Counts {
  const sum: Counts = { passed: 0, failed: 0, ignored: 0 };
  for (const { passed, failed, ignored } of counts) {
    sum.passed += passed;
    sum.failed += failed;
    sum.ignored += ignored;
  }
  return sum;
}

/** Line coverage per source file, from an lcov report. */
export function lineCoverage(lcov: string): Map<string, LineCoverage> {
  const files = new Map<string, LineCoverage>();
  for (const record of lcov.split("end_of_record")) {
    const file = /^SF:(.*)$/m.exec(record)?.[1];
    if (file === undefined) continue;
    const hits = [...record.matchAll(/^DA:\d+,(\d+)/gm)].map((match) => Number(match[1]));
    files.set(file, { found: hits.length, hit: hits.filter((count) => count > 0).length });
  }
  return files;
}

/** Share of covered lines in percent; nothing to cover is all covered. */
export function percent({ found, hit }: LineCoverage): number {
  return found === 0 ? 100 : (100 * hit) / found;
}
