import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { KvCredentialsBackend } from "../../backends/kv.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { sandbox } from "../support/sandbox.ts";
import { withTick } from "../support/with_tick.ts";

const { folder, permissions } = sandbox();
const LEASE = ["validmind", "oidc_lease", KEY];
const nothing = () => Promise.resolve();

interface Opened extends AsyncDisposable {
  one: KvCredentialsBackend;
  other: KvCredentialsBackend;
  /** The same database without a backend. */
  kv: Deno.Kv;
}

async function open(lockTimeoutMs = 30_000): Promise<Opened> {
  const path = `${folder()}/kv.db`;
  const make = () => new KvCredentialsBackend({ path, lockTimeoutMs });
  const [one, other] = [make(), make()];
  await one.put(OTHER, entry());
  const kv = await Deno.openKv(path);
  const dispose = async () => {
    await one.close();
    await other.close();
    kv.close();
  };
  return { one, other, kv, [Symbol.asyncDispose]: dispose };
}

function later(ms = 5): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

Deno.test({
  name: "one holder at a time runs under a KV lock, within a backend and between two",
  permissions,
  async fn() {
    await using opened = await open();
    const { one, other } = opened;
    let inside = 0;
    const seen: number[] = [];
    const hold = async () => {
      seen.push(++inside);
      await later();
      inside--;
    };
    await Promise.all([one, other, one, other, one].map((backend) => backend.withLock(KEY, hold)));
    assertEquals(seen, Array(5).fill(1));
  },
});

Deno.test({
  name: "a KV lock gives the function's value, allows put and get in it, and other keys beside it",
  permissions,
  async fn() {
    await using opened = await open(0);
    const { one, other } = opened;
    const value = await one.withLock(KEY, async () => {
      await one.put(KEY, entry());
      await other.withLock(OTHER, () => other.delete(OTHER));
      await one.delete(KEY);
      await one.put(KEY, entry({ x_second: 2 }));
      return await one.get(KEY);
    });
    assertEquals(value, entry({ x_second: 2 }));
  },
});

Deno.test({
  name: "a KV lock is released at once, also when the function throws",
  permissions,
  async fn() {
    await using opened = await open(0);
    const { one, other, kv } = opened;
    const fault = new Error("the holder's own");
    const thrown = await assertRejects(() => one.withLock(KEY, () => Promise.reject(fault)));
    assertStrictEquals(thrown, fault);
    assertEquals((await kv.get(LEASE)).value, null);
    assertEquals(await other.withLock(KEY, () => Promise.resolve("free")), "free");
    assertEquals((await kv.get(LEASE)).value, null);
  },
});

Deno.test({
  name: "a KV lock that is held is backend_locked after the time limit",
  permissions,
  async fn() {
    await using opened = await open(30);
    const { one, other } = opened;
    await one.withLock(KEY, async () => {
      await rejectsWith("backend_locked", () => other.withLock(KEY, nothing), other.path, "30 ms");
      await rejectsWith("backend_locked", () => one.withLock(KEY, nothing), one.path, "30 ms");
    });
  },
});

Deno.test({
  name: "the wait for a KV lock ends with the signal's reason",
  permissions,
  async fn() {
    await using opened = await open();
    const { one, other } = opened;
    const abort = new AbortController();
    const reason = new Error("enough");
    let hasRun = false;
    const run = () => Promise.resolve(hasRun = true);
    await one.withLock(KEY, async () => {
      const waiting = other.withLock(KEY, run, { signal: abort.signal });
      await later();
      abort.abort(reason);
      assertStrictEquals(await assertRejects(() => waiting), reason);
    });
    const before = await assertRejects(() => one.withLock(KEY, run, { signal: abort.signal }));
    assertStrictEquals(before, reason);
    assertEquals(hasRun, false);
  },
});

for (const change of ["put", "delete"] as const) {
  Deno.test({
    name: `a ${change} after the lease was taken over fails and changes nothing`,
    permissions,
    async fn() {
      await using opened = await open();
      const { one, other, kv } = opened;
      await one.put(KEY, entry());
      const theirs = { holder: "somebody else" };
      await one.withLock(KEY, async () => {
        await kv.set(LEASE, theirs);
        await other.put(KEY, entry({ x_theirs: true }));
        const write = () => change === "put" ? one.put(KEY, entry()) : one.delete(KEY);
        await rejectsWith("backend_locked", write, one.path, "the lock was lost");
        await one.put(OTHER, entry()); // whose lock is not concerned
      });
      assertEquals(await one.get(KEY), entry({ x_theirs: true }));
      assertEquals((await kv.get(LEASE)).value, theirs); // not ours to release
      await kv.delete(LEASE);
      await one.put(KEY, entry()); // outside a lock there is nothing to lose
    },
  });
}

Deno.test({
  name: "a lease is renewed while its holder runs, and the writes of the holder go on",
  permissions,
  fn: () =>
    withTick(async (tick) => {
      await using opened = await open();
      const { one, kv } = opened;
      await one.withLock(KEY, async () => {
        const first = await kv.get(LEASE);
        tick();
        await one.put(KEY, entry());
        tick();
        await later();
        const second = await kv.get(LEASE);
        assert((second.versionstamp ?? "") > (first.versionstamp ?? "z"));
        assertEquals(second.value, first.value);
        await one.put(KEY, entry({ x_second: 2 }));
      });
      assertEquals(await one.get(KEY), entry({ x_second: 2 }));
      assertEquals((await kv.get(LEASE)).value, null);
    }),
});

Deno.test({
  name: "a renewal under way when the holder ends does not leave the lease behind",
  permissions,
  fn: () =>
    withTick(async (tick) => {
      await using opened = await open();
      const { one, other, kv } = opened;
      for (let i = 0; i < 20; i++) await one.withLock(KEY, () => Promise.resolve(tick()));
      assertEquals((await kv.get(LEASE)).value, null);
      await other.withLock(KEY, nothing);
      await one.put(KEY, entry());
    }),
});

Deno.test({
  name: "a renewal does not take back a lease that was lost",
  permissions,
  fn: () =>
    withTick(async (tick) => {
      await using opened = await open();
      const { one, kv } = opened;
      const theirs = { holder: "somebody else" };
      await one.withLock(KEY, async () => {
        await kv.set(LEASE, theirs);
        tick();
        await later();
        await rejectsWith("backend_locked", () => one.put(KEY, entry()));
      });
      assertEquals((await kv.get(LEASE)).value, theirs);
    }),
});

Deno.test({
  name: "leases are not listed among the entries",
  permissions,
  async fn() {
    await using opened = await open();
    const { one } = opened;
    const keys = await one.withLock(KEY, () => Array.fromAsync(one.list()));
    assertEquals(keys, [OTHER]);
  },
});
