import { assertEquals } from "@std/assert";
import { parseObject } from "../../../backends/common/parse_object.ts";

Deno.test({
  name: "parseObject takes JSON objects and nothing else",
  permissions: "none",
  fn() {
    assertEquals(parseObject(' {"a": [1]} '), { a: [1] });
    for (const text of ["", "{", "null", "[]", "7", '"text"', "{} {}"]) {
      assertEquals(parseObject(text), undefined, text);
    }
  },
});
