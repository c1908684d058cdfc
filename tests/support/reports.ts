/** Reads the JUnit reports that `deno test` writes. */

/** How many tests of a run went how. */
export interface Counts {
  passed: number;
  failed: number;
  ignored: number;
}

/** One test of a report; a test's steps are tests of their own. */
export interface JunitCase {
  /** The file that was run, from the root of the repository. */
  readonly file: string;
  readonly name: string;
  readonly outcome: keyof Counts;
  /** Why it failed. */
  readonly message: string;
}

const SUITE = /<testsuite name="([^"]*)"[^>]*?(?:\/>|>(.*?)<\/testsuite>)/gs;
const CASE = /<testcase name="([^"]*)"[^>]*?(?:\/>|>(.*?)<\/testcase>)/gs;
const FAILURE = /<(?:failure|error)\b[^>]*?(?:message="([^"]*)")?[^>]*>(.*?)<\/(?:failure|error)>/s;
const XML_NAMES: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

/** The tests of a report, one by one. */
export function junitCases(xml: string): JunitCase[] {
  if (!xml.includes("<testsuites ")) throw new Error("Cannot read tests: not a JUnit report.");
  return Array.from(xml.matchAll(SUITE)).flatMap(([, file = "", cases = ""]) =>
    Array.from(cases.matchAll(CASE), ([, name = "", body = ""]) => {
      const failure = FAILURE.exec(body);
      const skipped = body.includes("<skipped") ? "ignored" : "passed";
      return {
        file: unescapeXml(file).replaceAll("\\", "/").replace(/^\.\//, ""),
        name: unescapeXml(name),
        outcome: failure === null ? skipped : "failed",
        message: unescapeXml(failure?.[2] || failure?.[1] || "").trim(),
      };
    })
  );
}

/** Adds tests up. */
export function countCases(cases: readonly JunitCase[]): Counts {
  const counts: Counts = { passed: 0, failed: 0, ignored: 0 };
  for (const { outcome } of cases) counts[outcome]++;
  return counts;
}

/** The line that ends each run of tests. */
export function countsLine({ passed, failed, ignored }: Counts): string {
  return `${passed} passed, ${failed} failed, ${ignored} skipped`;
}

function unescapeXml(text: string): string {
  return text.replace(/&(\w+);/g, (whole, name) => XML_NAMES[name] ?? whole);
}
