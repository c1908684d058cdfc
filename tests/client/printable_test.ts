import { assertEquals } from "@std/assert";
import { printable } from "../../client/printable.ts";

Deno.test("printable: control and format characters become one space", () => {
  assertEquals(printable("a\x1b[31mb\x07\r\nc"), "a [31mb c");
  assertEquals(printable("a\u202eb\u2028c\u200bd\x9be\x7f"), "a b c d e");
  assertEquals(printable("Grüße, 東京"), "Grüße, 東京");
});

Deno.test("printable: no longer than the limit", () => {
  assertEquals(printable("x".repeat(200)), "x".repeat(200));
  assertEquals(printable("x".repeat(201)), `${"x".repeat(200)}…`);
  assertEquals(printable("abcdef", 3), "abc…");
});
