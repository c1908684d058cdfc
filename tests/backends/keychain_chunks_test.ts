import { assertEquals, assertNotEquals } from "@std/assert";
import { chunkValue, joinChunks, parseHead } from "../../backends/keychain_chunks.ts";

Deno.test("a value that fits stays in one piece", async () => {
  assertEquals(await chunkValue("12345", 5), { head: "12345", chunks: [] });
  assertEquals(parseHead("12345"), undefined);
  assertEquals(parseHead("{}"), undefined);
});

Deno.test("a longer one is cut, and its head tells what makes it whole again", async () => {
  const { head, chunks, generation } = await chunkValue("123456", 5);
  assertEquals(chunks, ["12345", "6"]);
  const parsed = parseHead(head)!;
  assertEquals([parsed.generation, parsed.count], [generation!, 2]);
  assertEquals(await joinChunks(parsed, chunks), "123456");
});

Deno.test("chunks of which one is missing, changed, moved or too many make no value", async () => {
  const { head } = await chunkValue("123456789", 3);
  const parsed = parseHead(head)!;
  const wrong = [
    ["123", "456"],
    ["123", undefined, "789"],
    ["123", "456", "78"],
    ["123", "789", "456"],
    ["123", "456", "789", ""],
    [],
  ];
  for (const chunks of wrong) assertEquals(await joinChunks(parsed, chunks), undefined);
});

Deno.test("two writes of one value share no chunk", async () => {
  const [one, other] = await Promise.all([chunkValue("123456", 5), chunkValue("123456", 5)]);
  assertNotEquals(one.generation, other.generation);
});
