import { assertEquals } from "@std/assert";
import { summarize } from "./summary.ts";
import type { Tally } from "./tally.ts";

const FAULT = { file: "tests/a_test.ts", test: "a junction", reason: "no junctions" };

function tally(passed: number, failed: string[] = [], more: Partial<Tally> = {}): Tally {
  const named = failed.map((name) => ({ name, message: "why" }));
  return { passed, failed: named, known: [], mended: [], ignored: 0, ...more };
}

Deno.test("a file that passed at its second try is named, with its first failures, and counted", () => {
  const first = new Map([
    ["tests/a_test.ts", tally(3, [], { ignored: 2, known: [FAULT] })],
    ["tests/b_test.ts", tally(1, ["slow", "late"])],
  ]);
  assertEquals(summarize(first, new Map([["tests/b_test.ts", tally(3)]]), "Wine"), {
    lines: [
      "Passed at the second try, alone:",
      "  tests/b_test.ts: slow; late",
      "2 ignored, 1 failed as is known of Wine",
      "6 passed, 0 failed, 2 files, 1 of them at the second try",
    ],
    isGood: true,
  });
});

Deno.test("a run is not good where a file failed twice, or where a known fault is gone", () => {
  const bad = new Map([["tests/a_test.ts", tally(1, ["wrong"])]]);
  assertEquals(summarize(bad, bad, "Wine"), {
    lines: [
      "0 ignored, 0 failed as is known of Wine",
      "1 passed, 1 failed, 1 files, 0 of them at the second try",
    ],
    isGood: false,
  });
  const mended = new Map([["tests/a_test.ts", tally(1, [], { mended: [FAULT] })]]);
  assertEquals(summarize(mended, new Map(), "Wine").isGood, false);
  assertEquals(
    summarize(mended, new Map(), "Wine").lines[0]!.split(", ")[2],
    "1 to be taken off its list",
  );
});
