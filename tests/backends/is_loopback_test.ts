import { assertEquals } from "@std/assert";
import { isLoopback } from "../../backends/is_loopback.ts";

Deno.test("isLoopback looks at the name as a URL has it", () => {
  assertEquals(isLoopback(new URL("http://2130706433/").hostname), true); // 127.0.0.1
  assertEquals(isLoopback(new URL("http://LOCALHOST/").hostname), true);
  assertEquals(isLoopback("::1"), false);
});
