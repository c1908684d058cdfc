import { assertEquals } from "@std/assert";
import { formatLength, formatRelative } from "../../../client/cli/format_time.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

for (
  const [ms, expected] of [
    [0, "0 s"],
    [59_400, "59 s"],
    [59_600, "1 min"],
    [43 * MINUTE, "43 min"],
    [59.6 * MINUTE, "1 h"],
    [2 * HOUR + 5 * MINUTE, "2 h 5 min"],
    [24 * HOUR, "1 d"],
    [14 * 24 * HOUR + 3 * HOUR, "14 d 3 h"],
  ] as const
) {
  Deno.test(`formatLength: ${ms} ms is ${expected}`, () =>
    assertEquals(formatLength(ms), expected));
}

Deno.test("formatRelative: before and after now", () => {
  assertEquals(formatRelative(new Date(43 * MINUTE), 0), "in 43 min");
  assertEquals(formatRelative(new Date(0), 2 * HOUR), "2 h ago");
});
