import { assertEquals, assertThrows } from "@std/assert";
import { countJunit, lineCoverage, percent, sumCounts } from "./reports.ts";

Deno.test("countJunit tells passed, failed and ignored apart", () => {
  const xml = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="6" failures="2" errors="1" time="0.083">
  <testsuite name="./a_test.ts" tests="2" disabled="0" errors="1" failures="1"></testsuite>
  <testsuite name="./b_test.ts" tests="4" disabled="1" errors="0" failures="1"></testsuite>
</testsuites>`;
  assertEquals(countJunit(xml), { passed: 2, failed: 3, ignored: 1 });
});

Deno.test("countJunit refuses what is no report", () => {
  assertThrows(() => countJunit("<html></html>"), Error, "Cannot count tests");
});

Deno.test("sumCounts adds up", () => {
  const one = { passed: 1, failed: 2, ignored: 3 };
  assertEquals(sumCounts([one, one]), { passed: 2, failed: 4, ignored: 6 });
});

Deno.test("lineCoverage counts the lines of each file", () => {
  const lcov = [
    ...["SF:/a.ts", "FN:1,f", "DA:1,3", "DA:2,0", "DA:3,1", "LH:2", "LF:3", "end_of_record"],
    ...["SF:/b.ts", "DA:1,0", "end_of_record", ""],
  ].join("\n");
  const files = lineCoverage(lcov);
  assertEquals(files.get("/a.ts"), { found: 3, hit: 2 });
  assertEquals(files.get("/b.ts"), { found: 1, hit: 0 });
});

Deno.test("percent of nothing to cover is all", () => {
  assertEquals(percent({ found: 0, hit: 0 }), 100);
  assertEquals(percent({ found: 4, hit: 3 }), 75);
});
