import { assertEquals } from "@std/assert";
import { tallyFile } from "./tally.ts";

const FILE = "tests/a_test.ts";
const REPORT = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="4" failures="2" errors="0" time="0.1">
    <testsuite name="./tests/a_test.ts" tests="4" disabled="1" errors="0" failures="2">
        <testcase name="a key&apos;s lock" classname="./tests/a_test.ts" time="0.0" line="1" col="6">
        </testcase>
        <testcase name="a mode" classname="./tests/a_test.ts" time="0.0" line="2" col="6">
            <skipped/>
        </testcase>
        <testcase name="a junction" classname="./tests/a_test.ts" time="0.0" line="3" col="6">
            <failure message="Uncaught Error: os error 50">Error: os error 50
    at a &lt;b&gt;</failure>
        </testcase>
        <testcase name="a path" classname="./tests/a_test.ts" time="0.0" line="4" col="6">
            <failure message="Uncaught Error: other">Error: other</failure>
        </testcase>
    </testsuite>
</testsuites>`;
const fault = (test: string) => ({ file: FILE, test, reason: "no junctions" });

Deno.test("a listed test that fails is known, and every other one that fails is a failure", () => {
  const faults = [fault("a junction"), { ...fault("a path"), file: "tests/b_test.ts" }];
  const tally = tallyFile(FILE, REPORT, "exit code 1", faults);
  assertEquals(tally.known, [faults[0]]);
  assertEquals(tally.failed, [{ name: "a path", message: "Error: other" }]);
  assertEquals([tally.passed, tally.ignored], [1, 1]);
});

Deno.test("a listed test that passes is told, so that the list stays true", () => {
  assertEquals(tallyFile(FILE, REPORT, undefined, [fault("a key's lock")]).mended, [
    fault("a key's lock"),
  ]);
});

Deno.test("a listed test that is not in its file any more is a failure", () => {
  const { failed } = tallyFile(FILE, REPORT, undefined, [fault("gone")]);
  assertEquals(failed.map(({ name }) => name), ["a junction", "a path", "gone"]);
});

Deno.test("a file that wrote no report, or that ended badly, is a failure", () => {
  const [late, bad] = [undefined, REPORT.replace(/<failure.*?<\/failure>/gs, "")]
    .map((report) => tallyFile(FILE, report, "no end", []));
  for (const { failed } of [late!, bad!]) {
    assertEquals(failed, [{ name: FILE, message: "no end" }]);
  }
  assertEquals(tallyFile(FILE, undefined, undefined, []).failed.length, 1);
});
