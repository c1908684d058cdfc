import { assertEquals } from "@std/assert";
import { readEntry, storing } from "../../../backends/kv/entry.ts";
import { KvStore } from "../../../backends/kv/store.ts";
import { entry, KEY } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { sandbox } from "../../support/sandbox.ts";

const { folder, permissions } = sandbox();

const PATH = ":memory:";
const sized = (size: number) => entry({ x_fill: String(size)[0]!.repeat(size) });
const SMALL = sized(10);
const LARGE = sized(200_000);
const LARGER = sized(400_000);

async function put(kv: Deno.Kv, value: typeof SMALL): Promise<void> {
  const atomic = kv.atomic();
  storing(KEY, value, PATH)(atomic);
  await atomic.commit();
}

async function countParts(kv: Deno.Kv): Promise<number> {
  return (await Array.fromAsync(kv.list({ prefix: ["validmind", "oidc_part"] }))).length;
}

Deno.test(
  "an entry leaves no part of a larger one before it",
  { permissions: "none" },
  async () => {
    using kv = await Deno.openKv(PATH);
    const counts: number[] = [];
    for (const value of [LARGER, LARGE, SMALL]) {
      await put(kv, value);
      counts.push(await countParts(kv));
      assertEquals((await readEntry(kv, KEY, PATH)).entry, value);
    }
    assertEquals(counts, [7, 4, 0]);
  },
);

Deno.test("an entry is read in one snapshot, and parts of two entries are damage", {
  permissions: "none",
}, async () => {
  using kv = await Deno.openKv(PATH);
  await put(kv, LARGE);
  const rows = new Map<unknown, Deno.KvEntryMaybe<unknown>>();
  const { getMany } = kv.constructor.prototype;
  let reads = 0;
  const seen = {
    async getMany(keys: Deno.KvKey[]) {
      reads++;
      const found: Deno.KvEntryMaybe<unknown>[] = await getMany.call(kv, keys);
      return found.map((row) => rows.get(row.key.at(-1)) ?? row);
    },
  } as unknown as Deno.Kv;
  const before = await readEntry(seen, KEY, PATH);
  assertEquals([before.entry, reads], [LARGE, 1]);
  rows.set(2, (await kv.get(["validmind", "oidc_part", KEY, 2])) as Deno.KvEntry<unknown>);
  await put(kv, sized(200_001));
  await rejectsWith("backend_corrupt", () => readEntry(seen, KEY, PATH), "damaged");
});

Deno.test(
  "a write and a removal leave no part that another wrote before",
  { permissions },
  async () => {
    const path = `${folder()}/kv.db`;
    const options = { path, lockTimeoutMs: 1000, timeoutMs: 1000 };
    const [store, other] = [await KvStore.open(options), await KvStore.open(options)];
    using kv = await Deno.openKv(path);
    await store.put(KEY, SMALL);
    for (const change of [() => store.put(KEY, sized(11)), () => store.delete(KEY)]) {
      await store.get(KEY);
      await other.put(KEY, LARGE);
      assertEquals(await countParts(kv), 4);
      await change();
      assertEquals(await countParts(kv), 0);
      assertEquals(await store.get(KEY), await other.get(KEY));
    }
    assertEquals(await other.get(KEY), undefined);
    store.close();
    other.close();
  },
);
