import { assertEquals } from "@std/assert";
import { parseFlag } from "../../backends/parse_flag.ts";
import { throwsWith } from "./rejects_with.ts";

Deno.test({
  name: "parseFlag takes words for yes and no, and refuses what it would have to guess",
  permissions: "none",
  fn() {
    const all = (...words: (string | undefined)[]) => words.map((word) => parseFlag("FLAG", word));
    assertEquals(all("1", "true", "YES", " yes "), [true, true, true, true]);
    assertEquals(all("0", "false", "No"), [false, false, false]);
    assertEquals(all(undefined, "", " "), [undefined, undefined, undefined]);
    for (const word of ["on", "off", "2", "y", "null"]) {
      throwsWith("env_invalid", () => parseFlag("FLAG", word), "FLAG");
    }
  },
});
