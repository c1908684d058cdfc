import { assert, assertEquals } from "@std/assert";
import { parseRetryAfter } from "../../../backends/common/parse_retry_after.ts";

Deno.test({
  name: "parseRetryAfter takes whole seconds and dates to come",
  permissions: "none",
  fn() {
    assertEquals(parseRetryAfter("5"), 5000);
    assertEquals(parseRetryAfter(" 0 "), 0);
    const inAMinute = new Date(Date.now() + 60_000).toUTCString();
    const ms = parseRetryAfter(inAMinute)!;
    assert(ms > 50_000 && ms <= 60_000, `${ms}`);
    for (const value of [null, "", "soon", "-5", "1.5e", "Wed, 21 Oct 2015 07:28:00 GMT"]) {
      assertEquals(parseRetryAfter(value), undefined, `${value}`);
    }
  },
});
