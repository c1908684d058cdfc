import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { mayBeIgnored } from "./may_be_ignored.ts";
import { countCases, junitCases } from "./reports.ts";
import { runElsewhere } from "./run_elsewhere.ts";
import { tempDir } from "./temp_home.ts";

const FILE = "tests/a_test.ts";
const REPORT = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="4" failures="2" errors="0" time="0.1">
    <testsuite name="./tests/a_test.ts" tests="4" disabled="1" errors="0" failures="2">
        <testcase name="a key&apos;s lock" classname="./tests/kit.ts" time="0.0" line="1" col="6">
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

Deno.test("a report tells passed, failed and ignored apart, and whose they are", () => {
  const cases = junitCases(REPORT);
  assertEquals(countCases(cases), { passed: 1, failed: 2, ignored: 1 });
  assertEquals([cases[0]!.file, cases[0]!.name], [FILE, "a key's lock"]);
  assertEquals(cases[2]!.message, "Error: os error 50\n    at a <b>");
  assertThrows(() => junitCases("<html></html>"), Error, "not a JUnit report");
});

Deno.test("elsewhere a known fault may fail, and nothing else; a fault that is mended fails", async () => {
  await using folder = await tempDir();
  const report = `${folder.path}/report.xml`;
  await Deno.writeTextFile(report, REPORT);
  const isWell = (...tests: string[]) =>
    runElsewhere([FILE], {
      faults: tests.map((test) => ({ file: FILE, test, reason: "no junctions" })),
      isTogether: true,
      tell: () => {},
      run: () => Promise.resolve({ report, trouble: "exit code 1" }),
    });
  assertEquals(await isWell("a junction", "a path"), true);
  assertEquals(await isWell("a junction"), false);
  assertEquals(await isWell("a junction", "a path", "a key's lock"), false);
  assertEquals(await isWell("a junction", "a path", "gone"), false);
  await Deno.writeTextFile(report, REPORT.replace(/<failure.*?<\/failure>/gs, ""));
  assertEquals(await isWell(), false); // it ended badly all the same
});

/** A run of one file that fails once, and then goes by the second report; gives what was said. */
async function runTwice(second: string): Promise<[isWell: boolean, said: string]> {
  await using folder = await tempDir();
  const report = `${folder.path}/report.xml`;
  const reports = [REPORT, second];
  const said: string[] = [];
  const isWell = await runElsewhere([FILE], {
    faults: [],
    isTogether: true,
    tell: (line) => said.push(line),
    async run() {
      await Deno.writeTextFile(report, reports.shift()!);
      return { report, trouble: undefined };
    },
  });
  return [isWell, said.join("\n")];
}

Deno.test("elsewhere a test that fails once is a flake, told with the words of its failure", async () => {
  const healed = REPORT.replaceAll(/<failure.*?<\/failure>/gs, "");
  const [isWell, said] = await runTwice(healed);
  assertEquals(isWell, true);
  assertStringIncludes(said, `Flaked: ${FILE}: a path\n    Error: other`);
  assertEquals(said.match(/^Flaked: /gm)?.length, 2);
  const [isHalfWell, half] = await runTwice(REPORT.replace(/<failure.*?<\/failure>/s, ""));
  assertEquals(isHalfWell, false);
  assertEquals(half.match(/^(?:Flaked:|FAILED) .*$/gm), [
    `FAILED ${FILE}: a path`,
    `Flaked: ${FILE}: a junction`,
  ]);
});

Deno.test("elsewhere many flakes are a failure", async () => {
  const one = /<testcase name="a path".*?<\/testcase>/s.exec(REPORT)![0];
  const many = Array.from({ length: 7 }, (_, index) => one.replace("a path", `path ${index}`));
  const passing = many.map((text) => text.replace(/<failure.*?<\/failure>/s, ""));
  const frame = (cases: string[]) => REPORT.replace(/<testcase.*<\/testcase>/s, cases.join("\n"));
  const reports = [frame(many), frame(passing)];
  await using folder = await tempDir();
  const report = `${folder.path}/report.xml`;
  const run = async () => {
    await Deno.writeTextFile(report, reports.shift()!);
    return { report, trouble: undefined };
  };
  const options = { faults: [], isTogether: true, tell: () => {}, run };
  assertEquals(await runElsewhere([FILE], options), false);
});

Deno.test("elsewhere a run that broke off is one flake, however many files it had", async () => {
  await using folder = await tempDir();
  const report = `${folder.path}/report.xml`;
  const files = Array.from({ length: 8 }, (_, index) => `tests/${index}_test.ts`);
  const said: string[] = [];
  const run = async (some: readonly string[]) => {
    if (some.length > 1) return { report: `${report}.none`, trouble: "it broke off" };
    await Deno.writeTextFile(report, REPORT.replace(/<failure.*?<\/failure>/gs, ""));
    return { report, trouble: undefined };
  };
  const tell = (line: string) => said.push(line);
  assertEquals(await runElsewhere(files, { faults: [], isTogether: true, tell, run }), true);
  assertEquals(said.filter((line) => line.startsWith("Flaked: ")).length, 1);
});

Deno.test("a test may be ignored for want of root by an ordinary user, or of a program without servers", () => {
  const may = (name: string, isRoot: boolean, hasServers: boolean) =>
    mayBeIgnored({ file: FILE, name }, { isRoot, hasServers });
  const byRoot = "a lock (ignored: needs Linux and root)";
  assertEquals([may(byRoot, false, true), may(byRoot, true, false)], [true, false]);
  const zsh = "completions (ignored: there is no zsh)";
  assertEquals([may(zsh, true, false), may(zsh, false, true)], [true, false]);
  assertEquals(may("a lock", false, false), false);
});
