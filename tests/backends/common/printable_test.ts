import { cleanForeign } from "../../../backends/common/foreign_error.ts";
import { assert, assertEquals } from "@std/assert";
import { parseRetryAfter } from "../../../backends/common/http_answer.ts";
import { parseObject, sameJson } from "../../../backends/common/json.ts";
import { printable } from "../../../backends/common/printable.ts";

Deno.test("printable: control and format characters become one space, up to the limit", () => {
  assertEquals(printable("a\x1b[31mb\x07\r\nc"), "a [31mb c");
  assertEquals(printable("a\u202eb\u2028c\u200bd\x9be\x7f"), "a b c d e");
  assertEquals(printable("Grüße, 東京"), "Grüße, 東京");
  assertEquals(printable("x".repeat(500)), "x".repeat(500));
  assertEquals(printable("x".repeat(501)), `${"x".repeat(500)}…`);
  assertEquals(printable("abcdef", 3), "abc…");
});

Deno.test("parseObject takes JSON objects and nothing else", () => {
  assertEquals(parseObject(' {"a": [1]} '), { a: [1] });
  for (const text of ["", "{", "null", "[]", "7", '"text"', "{} {}"]) {
    assertEquals(parseObject(text), undefined, text);
  }
});

Deno.test("sameJson: the order of members does not count, at any depth; that of a list does", () => {
  const one = { a: 1, b: { c: [1, 2], d: null }, "a,b": "c" };
  assertEquals(sameJson(one, { "a,b": "c", b: { d: null, c: [1, 2] }, a: 1 }), true);
  assertEquals(sameJson(one, { ...one, b: { c: [2, 1], d: null } }), false);
});

Deno.test("parseRetryAfter takes whole seconds and dates to come", () => {
  assertEquals([parseRetryAfter("5"), parseRetryAfter(" 0 ")], [5000, 0]);
  const ms = parseRetryAfter(new Date(Date.now() + 60_000).toUTCString())!;
  assert(ms > 50_000 && ms <= 60_000, `${ms}`);
  for (const value of [null, "", "soon", "-5", "1.5e", "Wed, 21 Oct 2015 07:28:00 GMT"]) {
    assertEquals(parseRetryAfter(value), undefined, `${value}`);
  }
});

Deno.test("cleanForeign: as much of a third party's words as a person reads", () => {
  assertEquals(cleanForeign("word ".repeat(1000), []).length, 2001);
});
