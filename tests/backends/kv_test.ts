import { assertEquals } from "@std/assert";
import { KvCredentialsBackend } from "../../backends/kv.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { replace } from "../support/replace.ts";
import { sandbox } from "../support/sandbox.ts";
import { isReplaced } from "./stores.ts";

const { folder, permissions } = sandbox();
const nothing = () => Promise.resolve();

/** Runs a test with backends of one database, and the database itself, at each kind of place. */
function test(
  name: string,
  fn: (open: (lockTimeoutMs?: number) => KvCredentialsBackend, path: string) => Promise<void>,
  places: readonly string[] = [":memory:", "file"],
): void {
  for (const place of places) {
    Deno.test(`kv (${place}): ${name}`, { permissions }, async () => {
      const path = place === "file" ? `${folder()}/deep/er/kv.db` : place;
      const opened: KvCredentialsBackend[] = [];
      const open = (lockTimeoutMs = 30_000) => {
        opened.push(new KvCredentialsBackend({ path, lockTimeoutMs }));
        return opened.at(-1)!;
      };
      try {
        await fn(open, path);
      } finally {
        for (const backend of opened) await backend.close();
      }
    });
  }
}

test("an entry over 64 KiB, or a key over 2 KiB, is backend_too_large, and the old is kept", async (open) => {
  const backend = open();
  await backend.put(KEY, entry());
  for (const size of [65_536, 2_000_000]) {
    const large = entry({ x_fill: "f".repeat(size) });
    await rejectsWith("backend_too_large", () => backend.put(KEY, large), "64 KiB");
    assertEquals(await backend.get(KEY), entry());
  }
  const long = "k".repeat(2048);
  await rejectsWith("backend_too_large", () => backend.put(long, entry()), "its key");
});

test("one that could not be opened tries again", async (open, path) => {
  const parent = path.replace("/deep/er/kv.db", "");
  Deno.writeTextFileSync(`${parent}/deep`, "");
  const backend = open();
  await rejectsWith("backend_unavailable", () => backend.get(KEY), "Cannot make the folder");
  Deno.removeSync(`${parent}/deep`);
  assertEquals(await backend.get(KEY), undefined);
}, ["file"]);

test("a lock excludes its key alone, is waited for up to the limit, and is no entry", async (open) => {
  const one = open(30);
  await one.put(OTHER, entry());
  for (const holder of [one, one.persistent ? open(30) : one]) {
    await one.withLock(KEY, async () => {
      await rejectsWith("backend_locked", () => holder.withLock(KEY, nothing), "30 ms");
      await holder.withLock(OTHER, () => holder.put(KEY, entry()));
      assertEquals((await Array.fromAsync(one.list())).sort(), [KEY, OTHER]);
    });
    assertEquals(await holder.withLock(KEY, () => holder.get(KEY)), entry());
  }
});

test("a lock ends its wait by what peek sees", async (open) => {
  const [one, other] = [open(), open()];
  const peek = () => "seen";
  const seen = () => other.withLock(KEY, () => Promise.resolve("run"), { peek });
  assertEquals(await one.withLock(KEY, seen), "seen");
}, ["file"]);

Deno.test("kv: it says where entries are, and whether they last", { permissions: "none" }, () => {
  const where = (path?: string) => {
    const { persistent, location } = new KvCredentialsBackend(path === undefined ? {} : { path });
    return [persistent, location];
  };
  assertEquals(where(), [false, "a Deno KV database in the memory of this process"]);
  assertEquals(where(":memory:"), where());
  assertEquals(where("/data/kv.db"), [true, "/data/kv.db"]);
  const idOf = (path: string) => new KvCredentialsBackend({ path }).storeId;
  assertEquals([idOf("/data/kv.db"), idOf(":memory:")], ["kv /data/kv.db", undefined]);
  const needs = (path: string) => new KvCredentialsBackend({ path }).requiredPermissions();
  assertEquals(needs(":memory:"), []);
  const folder = { path: "/data" };
  assertEquals(needs("/data/kv.db"), [{ name: "read", ...folder }, { name: "write", ...folder }]);
});

Deno.test("kv: without --unstable-kv the error is unstable_kv_required and names the flag", async () => {
  using _ = replace(Deno, "openKv", undefined!);
  const words = ["Cannot open Deno KV", "--unstable-kv", `"unstable": ["kv"]`];
  await rejectsWith("unstable_kv_required", () => new KvCredentialsBackend().get(KEY), ...words);
});

test("a write is decided anew where another came in between, and tells whether it stored", async (open) => {
  const next = entry({ access_token: "next" });
  const store = open();
  const other = store.persistent ? open() : store;
  for (const theirs of [entry({ access_token: "theirs" }), undefined]) {
    await other.put(KEY, entry());
    let looks = 0;
    const { get } = Deno.Kv.prototype;
    using _ = replace(Deno.Kv.prototype, "get", async function (this: Deno.Kv, ...args) {
      const row = await get.apply(this, args);
      if (looks++ > 0) return row as never;
      if (theirs === undefined) await other.delete(KEY);
      else await other.put(KEY, theirs);
      return row as never;
    });
    assertEquals([await store.put(KEY, next, { isReplaced }), looks], [false, 2]);
    assertEquals(await store.get(KEY), theirs);
  }
  assertEquals(await store.put(KEY, next, { isReplaced: () => true }), true);
});

test(
  "a write that others overtake without end is backend_locked, with the number of its tries",
  async (open) => {
    const store = open(100);
    await store.put(KEY, entry());
    const { get } = Deno.Kv.prototype;
    using _ = replace(Deno.Kv.prototype, "get", async function (this: Deno.Kv, ...args) {
      const row = await get.apply(this, args);
      await this.set(args[0], row.value);
      return row as never;
    });
    const put = () => store.put(KEY, entry(), { isReplaced: () => true });
    await rejectsWith("backend_locked", put, "keeps writing to it, after ");
  },
  [":memory:"],
);
