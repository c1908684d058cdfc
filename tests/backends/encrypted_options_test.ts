import { assertEquals, assertNotEquals } from "@std/assert";
import { EncryptedCredentialsBackend } from "../../backends/encrypted.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { encrypted, FIRST, SECOND } from "./encrypted/encrypted_world.ts";
import { entry, KEY } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";

const WRONG: [what: string, options: unknown, ...words: string[]][] = [
  ["no options", undefined, "not an object"],
  ["an unknown option", { key: FIRST, password: "x" }, '"password"'],
  ["no key", {}, '"key" is no key'],
  ["a text for a key", { key: "x".repeat(32) }, '"key" is no key'],
  ["a key without a kind", { key: { id: "x" } }, '"key" is no key'],
  ["a short key", { key: new Uint8Array(16) }, "32 random bytes"],
  ["a key of zeros", { key: new Uint8Array(32) }, "32 random bytes"],
  [
    "a key that is text",
    { key: new TextEncoder().encode("abcdefghijklmnopqrstuvwxyz012345") },
    "a text as a passphrase",
  ],
  ["a variable without a name", { key: { env: "" } }, "does not name a variable"],
  ["a variable that is a list", { key: { env: "A,B" } }, "does not name a variable"],
  ["olderKeys that are no list", { key: FIRST, olderKeys: FIRST }, '"olderKeys" is not an array'],
  ["a wrong older key", { key: FIRST, olderKeys: [SECOND, null] }, "olderKeys[1]"],
  ["a short passphrase", { key: { passphrase: "too short" } }, "12 characters"],
  ["another plain", { key: FIRST, plain: true }, '"plain"'],
];

for (const [what, options, ...words] of WRONG) {
  Deno.test(
    `the constructor refuses ${what}, without showing it`,
    { permissions: "none" },
    async () => {
      const backend = new MemoryCredentialsBackend();
      const full = options === undefined ? undefined : { backend, ...options };
      const error = await rejectsWith(
        "invalid_options",
        () => new EncryptedCredentialsBackend(full as never),
        ...words,
      );
      assertNoSecret(error, ["too short", "abcdefghijklmnopqrstuvwxyz012345"]);
    },
  );
}

Deno.test("the constructor refuses what is no backend", async () => {
  const options = { backend: {}, key: FIRST } as never;
  await rejectsWith("invalid_backend", () => new EncryptedCredentialsBackend(options), '"backend"');
  const key = { backend: new MemoryCredentialsBackend(), key: { backend: "file" } } as never;
  await rejectsWith("invalid_backend", () => new EncryptedCredentialsBackend(key), "key");
});

Deno.test("a later change of the caller's key bytes does not reach the backend", async () => {
  const inner = new MemoryCredentialsBackend();
  const mine = FIRST.slice();
  const backend = encrypted(inner, { key: mine });
  mine.fill(7);
  await backend.put(KEY, entry());
  assertEquals(await encrypted(inner).get(KEY), entry());
  assertNotEquals(mine, FIRST);
});
