import { MemoryCredentialsBackend, NullCredentialsBackend } from "../../backends/memory.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { testWith } from "../support/test_with.ts";
import { assertEquals, assertStrictEquals } from "@std/assert";

const test = testWith({ permissions: "none" });

test("entries may be added and deleted while memory lists its keys", async () => {
  const backend = new MemoryCredentialsBackend();
  for (const key of [KEY, OTHER]) backend.put(key, entry());
  const seen: string[] = [];
  for await (const key of backend.list()) {
    seen.push(key);
    backend.delete(key);
    backend.put("late", entry());
  }
  assertEquals(seen, [KEY, OTHER]);
});

test("NullCredentialsBackend is another name of memory", () =>
  assertStrictEquals(NullCredentialsBackend, MemoryCredentialsBackend));
