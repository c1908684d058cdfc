// Keys in order: the first encrypts, and all decrypt.
import { assertEquals } from "@std/assert";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { encrypted, FIRST, minimal, SECOND, THIRD } from "./encrypted/encrypted_world.ts";

Deno.test("olderKeys are read with, and what is written next has the present key", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner, { key: FIRST }).put(KEY, entry());
  await encrypted(inner, { key: SECOND }).put(OTHER, entry({ client_id: "other" }));
  const backend = encrypted(inner, { key: THIRD, olderKeys: [FIRST, SECOND] });
  assertEquals(await backend.get(KEY), entry());
  assertEquals(await backend.get(OTHER), entry({ client_id: "other" }));
  await backend.put(KEY, entry());
  assertEquals(await encrypted(inner, { key: THIRD }).get(KEY), entry());
  await rejectsWith("encryption_key_unknown", () => encrypted(inner, { key: THIRD }).get(OTHER));
});

Deno.test("keyUse() tells how many entries each key encrypts, so that one can be dropped", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner, { key: FIRST }).put(KEY, entry());
  await encrypted(inner, { key: SECOND }).put(OTHER, entry());
  inner.put("plain", entry());
  const backend = encrypted(inner, { key: THIRD, olderKeys: [FIRST] });
  await backend.put("third", entry());
  assertEquals(await backend.keyUse(), { key: 1, olderKeys: [1], unknown: 1 });
  await backend.put(KEY, entry());
  assertEquals(await backend.keyUse(), { key: 2, olderKeys: [0], unknown: 1 });
  await rejectsWith("backend_no_list", () => encrypted(minimal()).keyUse(), "Keep all keys");
});

Deno.test("keyUse() counts by a key that a backend keeps, and by a passphrase", async () => {
  const inner = new MemoryCredentialsBackend();
  const stored = { backend: new MemoryCredentialsBackend() };
  const worded = { passphrase: "correct horse battery staple" };
  await encrypted(inner, { key: stored }).put(KEY, entry());
  await encrypted(inner, { key: worded }).put(OTHER, entry());
  const backend = encrypted(inner, { key: FIRST, olderKeys: [worded, stored] });
  assertEquals(await backend.keyUse(), { key: 0, olderKeys: [1, 1], unknown: 0 });
  assertEquals([await backend.get(KEY), await backend.get(OTHER)], [entry(), entry()]);
});
