import { assertEquals } from "@std/assert";
import { encodeEntry, getEntry, setEntry } from "../../../backends/kv/entry.ts";
import { KvStore } from "../../../backends/kv/store.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
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
  setEntry(atomic, KEY, encodeEntry(value, PATH));
  await atomic.commit();
}

async function countParts(kv: Deno.Kv): Promise<number> {
  return (await Array.fromAsync(kv.list({ prefix: ["validmind", "oidc_part"] }))).length;
}

/** Two handles of one database, as two processes have. */
async function twoStores(path: string): Promise<[store: KvStore, other: KvStore]> {
  const options = { path, lockTimeoutMs: 1000, timeoutMs: 1000 };
  return [await KvStore.open(options), await KvStore.open(options)];
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
      assertEquals(read.entry, after);
      assertEquals(read.noParts, undefined);
      const again = await getEntry(kv, KEY, PATH, (operation) => operation());
      assertEquals(again.entry, after);
      assertEquals(again.noParts === undefined, after !== SMALL);
    },
  });
}

Deno.test({
  name: "an entry leaves no part of a larger one before it",
  permissions: "none",
  async fn() {
    using kv = await Deno.openKv(PATH);
    const counts: number[] = [];
    for (const value of [LARGER, LARGE, SMALL]) {
      await put(kv, value);
      counts.push(await countParts(kv));
    }
    assertEquals(counts, [7, 4, 0]);
  },
});

for (
  const [what, use] of [
    ["put", (store: KvStore) => store.put(KEY, SMALL)],
    ["read", (store: KvStore) => store.get(KEY)],
  ] as const
) {
  Deno.test({
    name: `a write after an entry was ${what} leaves no part that another wrote in between`,
    permissions,
    async fn() {
      const path = `${folder()}/kv.db`;
      const [store, other] = await twoStores(path);
      using kv = await Deno.openKv(path);
      await store.put(KEY, SMALL);
      for (const change of [() => store.put(KEY, sized(11)), () => store.delete(KEY)]) {
        await use(store);
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
  });
}

Deno.test({
  name: "a write right after a larger one leaves none of its parts",
  permissions,
  async fn() {
    const path = `${folder()}/kv.db`;
    const store = await KvStore.open({ path, lockTimeoutMs: 1000, timeoutMs: 1000 });
    using kv = await Deno.openKv(path);
    for (const change of [() => store.put(KEY, SMALL), () => store.delete(KEY)]) {
      await store.put(KEY, LARGE);
      assertEquals(await countParts(kv), 4);
      await change();
      assertEquals(await countParts(kv), 0);
    }
    store.close();
  },
});

Deno.test({
  name: "a write deletes no parts where there are none since the last use of the key",
  permissions,
  async fn() {
    const [store, other] = await twoStores(`${folder()}/kv.db`);
    const prototype = Deno.AtomicOperation.prototype;
    const { delete: original } = prototype;
    let deletes = 0;
    prototype.delete = function (key) {
      deletes++;
      return original.call(this, key);
    };
    const counted = async (change: () => Promise<unknown>) => {
      deletes = 0;
      await change();
      return deletes;
    };
    try {
      assertEquals(await counted(() => store.put(KEY, SMALL)), 9); // nothing is known yet
      assertEquals(await counted(() => store.put(KEY, sized(11))), 0);
      assertEquals(await store.get(KEY), sized(11));
      assertEquals(await counted(() => store.put(OTHER, SMALL)), 9);
      assertEquals(await counted(() => other.get(KEY)), 0);
      assertEquals(await counted(() => other.put(KEY, LARGE)), 0);
      assertEquals(await other.get(KEY), LARGE);
      assertEquals(await counted(() => other.put(KEY, SMALL)), 9);
      assertEquals(await counted(() => other.delete(KEY)), 1);
    } finally {
      prototype.delete = original;
      store.close();
      other.close();
    }
  },
});

Deno.test({
  name:
    "a server that gives another number of parts at each look is an error, and not asked for ever",
  permissions: "none",
  async fn() {
    let looks = 0;
    const row = (key: Deno.KvKey) => ({ key, value: looks++ % 2 + 1, versionstamp: "1" });
    const kv = {
      get: (key: Deno.KvKey) => Promise.resolve(row(key)),
      getMany: ([key]: Deno.KvKey[]) => Promise.resolve([row(key!)]),
    } as unknown as Deno.Kv;
    const read = () => getEntry(kv, KEY, "https://kv.example.com", (operation) => operation());
    await rejectsWith("backend_unavailable", read, "another one at each look");
  },
});
