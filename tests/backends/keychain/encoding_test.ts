import { assert, assertEquals, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import {
  accountOf,
  chunkAccount,
  chunkValue,
  isStaleChunk,
  keychainLimits,
  keyOf,
  parseHead,
} from "../../../backends/keychain/encoding.ts";
import { AWKWARD_KEYS, KEY, OTHER } from "../../support/entries.ts";

const LINUX = keychainLimits("linux");
const WINDOWS = keychainLimits("windows");

Deno.test("a key is its own account, but for what a keychain loses", () => {
  assertEquals(accountOf(KEY, LINUX), KEY);
  assertEquals(accountOf(OTHER, keychainLimits("darwin")), OTHER);
  assertEquals(accountOf("größe|日本🔑", LINUX), "größe|日本🔑");
  assertEquals(accountOf("a%b#c\nd\u0000\ud800", LINUX), "a%25;b%23;c%a;d%0;%d800;");
  assertEquals(accountOf("", LINUX), "%;");
});

Deno.test("on Windows, which ignores case, capitals are told apart", () => {
  assertEquals(accountOf(KEY, WINDOWS), KEY);
  assertEquals(accountOf("aBc|ß", WINDOWS), "a%42;c|%df;");
});

Deno.test("an account leads back to its key, and no two keys have one account", () => {
  for (const key of AWKWARD_KEYS) assertEquals(keyOf(accountOf(key, LINUX), LINUX), key);
  fc.assert(fc.property(fc.string({ unit: "binary" }), (key) => {
    for (const limits of [LINUX, WINDOWS]) assertEquals(keyOf(accountOf(key, limits), limits), key);
    for (const other of [key.toUpperCase(), key.toLowerCase()]) {
      const [one, two] = [key, other].map((each) => accountOf(each, WINDOWS).toUpperCase());
      assertEquals(one === two, key === other);
    }
  }));
});

Deno.test("a chunk belongs to one key and one generation, and is no key", () => {
  const chunk = chunkAccount("a", "0123456789ab", 3);
  assertEquals(chunk, "a#0123456789ab.3");
  assertEquals(keyOf(chunk, LINUX), undefined);
  assert(isStaleChunk(chunk, "a"));
  assert(isStaleChunk(chunk, "a", "ffffffffffff"));
  assert(!isStaleChunk(chunk, "a", "0123456789ab"));
  assert(!isStaleChunk(chunk, "b"));
  assert(!isStaleChunk("a", "a"));
  assert(!isStaleChunk(chunkAccount(accountOf("a#b", LINUX), "0123456789ab", 0), "a"));
});

Deno.test("an account that no key has, which another program made, is no key and no error", () => {
  for (const account of ["%110000;", "%ffffffff;", "%41;", "%zz;", "a%", "a#b", "a\nb"]) {
    assertEquals(keyOf(account, LINUX), undefined, account);
  }
  assertEquals(keyOf("https://login.example.com|App", WINDOWS), undefined);
});

Deno.test("a value that fits stays in one piece", () => {
  assertEquals(chunkValue("12345", 5), { head: "12345", chunks: [] });
  assertEquals(parseHead("12345"), undefined);
  assertEquals(parseHead("{}"), undefined);
});

Deno.test("a longer one is cut, and its head tells what makes it whole again", () => {
  const { head, chunks, generation } = chunkValue("123456", 5);
  assertEquals(chunks, ["12345", "6"]);
  assertEquals(parseHead(head), { generation: generation!, count: 2 });
  const earlier = `${head} ${"0".repeat(64)}`; // an earlier release wrote a digest, too
  assertEquals(parseHead(earlier), { generation: generation!, count: 2 });
});

Deno.test("two writes of one value share no chunk", () => {
  const [one, other] = [chunkValue("123456", 5), chunkValue("123456", 5)];
  assertNotEquals(one.generation, other.generation);
});
