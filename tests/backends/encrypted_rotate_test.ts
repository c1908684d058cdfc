import { assertEquals } from "@std/assert";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import { encrypted, FIRST, minimal, SECOND, THIRD } from "./encrypted/encrypted_world.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";

Deno.test("olderKeys are read with, and rotate() encrypts everything with the current key", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner, { key: FIRST }).put(KEY, entry());
  await encrypted(inner, { key: SECOND }).put(OTHER, entry({ client_id: "other" }));
  const backend = encrypted(inner, { key: THIRD, olderKeys: [FIRST, SECOND] });
  await backend.put("third", entry());
  assertEquals(await backend.get(KEY), entry());
  const { resealed, kept } = await backend.rotate();
  assertEquals([resealed.toSorted(), kept], [[KEY, OTHER].toSorted(), ["third"]]);
  const alone = encrypted(inner, { key: THIRD });
  assertEquals(await alone.get(KEY), entry());
  assertEquals(await alone.get(OTHER), entry({ client_id: "other" }));
  assertEquals(await alone.rotate(), { resealed: [], kept: await Array.fromAsync(alone.list!()) });
});

Deno.test("rotate() does what it can, then tells of the entry that it could not read", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner, { key: SECOND }).put("a", entry());
  await encrypted(inner, { key: FIRST }).put("b", entry());
  const backend = encrypted(inner, { key: THIRD, olderKeys: [FIRST] });
  await rejectsWith("encryption_key_unknown", () => backend.rotate(), '"a"');
  assertEquals(await encrypted(inner, { key: THIRD }).get("b"), entry());
  assertEquals(await encrypted(inner, { key: SECOND }).get("a"), entry());
});

Deno.test("rotate() runs under the lock of each entry, and its signal ends it", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner, { key: SECOND }).put(KEY, entry());
  const backend = encrypted(inner, { olderKeys: [SECOND] });
  let rotation: Promise<unknown> | undefined;
  await backend.withLock!(KEY, async () => {
    rotation = backend.rotate();
    await backend.put(KEY, entry({ access_token: "refreshed meanwhile" }));
  });
  assertEquals(await rotation, { resealed: [], kept: [KEY] });
  assertEquals((await backend.get(KEY))?.access_token, "refreshed meanwhile");
  const error = await backend.rotate({ signal: AbortSignal.abort("enough") }).catch((e) => e);
  assertEquals(error, "enough");
});

Deno.test("rotate() needs a list, and a new key needs a backend that keeps it", async () => {
  await rejectsWith("backend_no_list", () => encrypted(minimal()).rotate());
  await rejectsWith("invalid_options", () => encrypted().rotate({ newKey: true }), "olderKeys");
  await rejectsWith("invalid_options", () => encrypted().rotate({ key: 1 } as never), '"key"');
});
