import { assertEquals } from "@std/assert";
import { VERSION } from "../../client/version.ts";
import config from "../../deno.json" with { type: "json" };

Deno.test("VERSION is the version in deno.json", () => {
  assertEquals(VERSION, config.version);
});
