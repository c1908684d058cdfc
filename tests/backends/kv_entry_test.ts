import { assertEquals } from "@std/assert";
import { encodeEntry, getEntry, setEntry } from "../../backends/kv_entry.ts";
import { entry, KEY } from "./entries.ts";

const PATH = ":memory:";
const sized = (size: number) => entry({ x_fill: String(size)[0]!.repeat(size) });
const SMALL = sized(10);
const LARGE = sized(200_000);
const LARGER = sized(400_000);

async function put(kv: Deno.Kv, value: typeof SMALL): Promise<void> {
  const atomic = kv.atomic();
  setEntry(atomic, KEY, encodeEntry(value, PATH));
  await atomic.commit();
}

for (
  const [what, before, after] of [
    ["of more parts", LARGE, LARGER],
    ["of fewer parts", LARGER, LARGE],
    ["of as many parts", LARGE, sized(200_001)],
    ["in one row", LARGE, SMALL],
  ] as const
) {
  Deno.test({
    name: `an entry that one ${what} replaces between two reads is the new one`,
    permissions: "none",
    async fn() {
      using kv = await Deno.openKv(PATH);
      await put(kv, before);
      let reads = 0;
      const read = await getEntry(kv, KEY, PATH, async (operation) => {
        if (++reads === 2) await put(kv, after);
        return await operation();
      });
      assertEquals(read, after);
      assertEquals(await getEntry(kv, KEY, PATH, (operation) => operation()), after);
    },
  });
}

Deno.test({
  name: "an entry leaves no part of a larger one before it",
  permissions: "none",
  async fn() {
    using kv = await Deno.openKv(PATH);
    const count = async () =>
      (await Array.fromAsync(kv.list({ prefix: ["validmind", "oidc_part"] }))).length;
    const counts: number[] = [];
    for (const value of [LARGER, LARGE, SMALL]) {
      await put(kv, value);
      counts.push(await count());
    }
    assertEquals(counts, [7, 4, 0]);
  },
});
