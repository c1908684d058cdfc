import { parseFlag } from "../../../backends/common/platform.ts";
import { assert, assertEquals } from "@std/assert";
import { parseObject, parseRetryAfter } from "../../../backends/common/printable.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

Deno.test("parseObject takes JSON objects and nothing else", { permissions: "none" }, () => {
  assertEquals(parseObject(' {"a": [1]} '), { a: [1] });
  for (const text of ["", "{", "null", "[]", "7", '"text"', "{} {}"]) {
    assertEquals(parseObject(text), undefined, text);
  }
});

Deno.test("parseRetryAfter takes whole seconds and dates to come", { permissions: "none" }, () => {
  assertEquals(parseRetryAfter("5"), 5000);
  assertEquals(parseRetryAfter(" 0 "), 0);
  const inAMinute = new Date(Date.now() + 60_000).toUTCString();
  const ms = parseRetryAfter(inAMinute)!;
  assert(ms > 50_000 && ms <= 60_000, `${ms}`);
  for (const value of [null, "", "soon", "-5", "1.5e", "Wed, 21 Oct 2015 07:28:00 GMT"]) {
    assertEquals(parseRetryAfter(value), undefined, `${value}`);
  }
});

Deno.test("parseFlag takes words for yes and no, and refuses what it would have to guess", {
  permissions: "none",
}, async () => {
  const all = (...words: (string | undefined)[]) => words.map((word) => parseFlag("FLAG", word));
  assertEquals(all("1", "true", "YES", " yes "), [true, true, true, true]);
  assertEquals(all("0", "false", "No"), [false, false, false]);
  assertEquals(all(undefined, "", " "), [undefined, undefined, undefined]);
  for (const word of ["on", "off", "2", "y", "null"]) {
    await rejectsWith("env_invalid", () => parseFlag("FLAG", word), "FLAG");
  }
});
