// Locks on a KV Connect server, which are leases. Those of a file are in kv_lock_test.ts.
import { assert, assertEquals } from "@std/assert";
import { KvCredentialsBackend } from "../../../backends/kv.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { startDenokv } from "../../support/servers/denokv_server.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { ManualIntervals } from "../../support/manual_intervals.ts";

const live = await liveTests("denokv");
const server = await live.shared(() => startDenokv());
live.afterAll(async () => await server[Symbol.asyncDispose]());

const LEASE = ["validmind", "oidc_lease", KEY];

interface Opened extends AsyncDisposable {
  one: KvCredentialsBackend;
  other: KvCredentialsBackend;
  /** The same database without a backend. */
  kv: Deno.Kv;
}

async function open(lockTimeoutMs = 30_000): Promise<Opened> {
  const path = server.url;
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

for (const change of ["put", "delete"] as const) {
  live.test({
    name: `a ${change} after the lease was taken over fails and changes nothing`,
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

live.test({
  name: "a lease is renewed while its holder runs, and the writes of the holder go on",
  fn: async () => {
    using intervals = new ManualIntervals();
    await using opened = await open();
    const { one, kv } = opened;
    await one.withLock(KEY, async () => {
      const first = await kv.get(LEASE);
      intervals.tick();
      await one.put(KEY, entry());
      intervals.tick();
      await later();
      const second = await kv.get(LEASE);
      assert((second.versionstamp ?? "") > (first.versionstamp ?? "z"));
      assertEquals(second.value, first.value);
      await one.put(KEY, entry({ x_second: 2 }));
    });
    assertEquals(await one.get(KEY), entry({ x_second: 2 }));
    assertEquals((await kv.get(LEASE)).value, null);
  },
});
