import { assertEquals } from "@std/assert";
import { KvCredentialsBackend } from "../../backends/kv.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { sandbox } from "../support/sandbox.ts";
import { ManualIntervals } from "../support/manual_intervals.ts";

const { folder, permissions } = sandbox();
const nothing = () => Promise.resolve();

interface Opened extends AsyncDisposable {
  one: KvCredentialsBackend;
  other: KvCredentialsBackend;
  parent: string;
}

async function open(lockTimeoutMs = 30_000): Promise<Opened> {
  const parent = folder();
  const path = `${parent}/kv.db`;
  const make = () => new KvCredentialsBackend({ path, lockTimeoutMs });
  const [one, other] = [make(), make()];
  await one.put(OTHER, entry());
  const dispose = async () => {
    await one.close();
    await other.close();
  };
  return { one, other, parent, [Symbol.asyncDispose]: dispose };
}

Deno.test(
  "a KV lock that is held is backend_locked after the time limit",
  { permissions },
  async () => {
    await using opened = await open(30);
    const { one, other } = opened;
    await one.withLock(KEY, async () => {
      await rejectsWith("backend_locked", () => other.withLock(KEY, nothing), other.path, "30 ms");
      await rejectsWith("backend_locked", () => one.withLock(KEY, nothing), one.path, "30 ms");
    });
  },
);

Deno.test("locks are not listed among the entries", { permissions }, async () => {
  await using opened = await open();
  const { one } = opened;
  const keys = await one.withLock(KEY, () => Array.fromAsync(one.list()));
  assertEquals(keys, [OTHER]);
});

/** Lets time go by a hundred times as fast for all that measure it by the monotonic clock. */
async function hastily(fn: () => Promise<void>): Promise<void> {
  const { now } = performance;
  const start = performance.now();
  performance.now = () => start + 100 * (now.call(performance) - start);
  try {
    await fn();
  } finally {
    performance.now = now;
  }
}

Deno.test("a KV lock on a file is not taken over from a holder that stands still, however long", {
  permissions,
}, async () => {
  using _ = new ManualIntervals(); // so that nothing renews anything
  await hastily(async () => {
    await using opened = await open(60_000);
    const { one, other } = opened;
    await one.withLock(KEY, async () => {
      await rejectsWith("backend_locked", () => other.withLock(KEY, nothing), "60000 ms");
      await one.put(KEY, entry());
    });
    await other.withLock(KEY, nothing);
    assertEquals(await other.get(KEY), entry());
  });
});

Deno.test(
  "a KV lock in memory excludes the uses of one store",
  { permissions: "none" },
  async () => {
    const store = new KvCredentialsBackend({ lockTimeoutMs: 20 });
    await store.withLock(KEY, async () => {
      await rejectsWith("backend_locked", () => store.withLock(KEY, nothing), "20 ms");
      await store.withLock(OTHER, () => store.put(KEY, entry()));
    });
    assertEquals(await store.withLock(KEY, () => store.get(KEY)), entry());
    await store.close();
  },
);
