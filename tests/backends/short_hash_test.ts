import { assertEquals } from "@std/assert";
import { shortHash } from "../../backends/short_hash.ts";

Deno.test("a short hash is eight digits, and the same in every release: locks are named by it", () => {
  assertEquals(shortHash(""), "811c9dc5");
  assertEquals(shortHash("a"), "e40c292c");
  assertEquals(shortHash("größe"), shortHash("größe"));
});
