import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { ANNOUNCED_MS, LEASE_MS } from "../../../backends/common/lease.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { ManualIntervals } from "../../support/manual_intervals.ts";
import { LEASE, NAME, nothing, settled, world } from "./lock_world.ts";

const permissions = "none";

for (const hasCheckAndSet of [true, false]) {
  const kind = hasCheckAndSet ? "with check-and-set" : "without check-and-set";

  Deno.test({
    name: `${kind}: a lease is given back, and its versions go on`,
    permissions,
    async fn() {
      const { kv, lock, make } = world({ hasCheckAndSet });
      for (let i = 0; i < 2; i++) {
        const held = await lock.run(NAME, () => kv.read(LEASE), {});
        assertEquals(held.data?.turn, 1);
        assertEquals(kv.rows.get(LEASE)?.data?.holder, "");
      }
      assertEquals(kv.rows.get(LEASE)?.version, hasCheckAndSet ? 4 : 0);
      assertEquals(await make().run(NAME, () => Promise.resolve("free"), {}), "free");
    },
  });

  Deno.test({
    name: `${kind}: an announced refresh keeps its lease for longer, and through renewals`,
    permissions,
    async fn() {
      const { kv, clock, lock, make } = world({ hasCheckAndSet, lockTimeoutMs: 120_000 });
      const announced = Promise.withResolvers<void>();
      const stopped = Promise.withResolvers<void>();
      const holder = lock.run(NAME, async () => {
        await lock.announce(NAME, "write to");
        announced.resolve();
        await stopped.promise;
      }, {});
      await announced.promise;
      assertEquals(kv.rows.get(LEASE)?.data?.announced, true);
      const start = clock.now();
      await make().run(NAME, nothing, {});
      assert(clock.now() - start >= ANNOUNCED_MS, "too early");
      stopped.resolve();
      await holder;
    },
  });

  Deno.test({
    name: `${kind}: a silent lease is taken over after its time, and never earlier`,
    permissions,
    async fn() {
      const taken: string[] = [];
      const onTakeOver = (name: string) => Promise.resolve(void taken.push(name));
      const { kv, clock, lock } = world({ hasCheckAndSet, onTakeOver });
      kv.set(LEASE, { holder: "dead", turn: 7 });
      const start = clock.now();
      await lock.run(NAME, nothing, {});
      assert(clock.now() - start >= LEASE_MS, "too early");
      assert(clock.now() - start <= LEASE_MS + 3_000, "too late");
      assertEquals(taken, [NAME]);
      await lock.run(NAME, nothing, {});
      assertEquals(taken, [NAME]);
    },
  });

  for (
    const [what, outage] of [["between two looks", "delay"], ["during a look", "read"]] as const
  ) {
    Deno.test({
      name: `${kind}: a lease is not taken over for standing still in an outage ${what}`,
      permissions,
      async fn() {
        const { kv, clock, lock } = world({ hasCheckAndSet });
        kv.set(LEASE, { holder: "behind the same outage", turn: 1 });
        let back = 0;
        const pass = () => {
          clock.advance(LEASE_MS);
          back = clock.now();
        };
        const { read } = kv;
        let looks = 0;
        if (outage === "delay") clock.onDelay = (count) => void (count === 3 && pass());
        else {
          kv.read = (name) => {
            if (++looks === 4) pass();
            return read.call(kv, name);
          };
        }
        await lock.run(NAME, nothing, {});
        assert(back > 0 && clock.now() - back >= LEASE_MS, String(clock.now() - back));
      },
    });
  }

  Deno.test({
    name: `${kind}: a lease that is renewed is waited for up to the limit`,
    permissions,
    async fn() {
      const { kv, clock, lock } = world({ hasCheckAndSet });
      const start = clock.now();
      kv.set(LEASE, { holder: "living", turn: 1 });
      clock.onDelay = () => {
        kv.set(LEASE, { holder: "living", turn: Math.ceil((clock.now() - start) / 5_000) });
      };
      await rejectsWith("backend_locked", () => lock.run(NAME, nothing, {}), "60000 ms");
    },
  });

  Deno.test({
    name: `${kind}: what a waiter did not look at is not taken for a holder's silence`,
    permissions,
    async fn() {
      const { kv, clock, lock } = world({ hasCheckAndSet });
      kv.set(LEASE, { holder: "living", turn: 1 });
      const read = kv.read.bind(kv);
      const start = clock.now();
      let outages = 0;
      kv.read = (name) => {
        // Vault is out of reach for a while, and repeated requests get through after it.
        if (clock.now() - start > 4_000 && outages++ === 0) clock.advance(14_000);
        return read(name);
      };
      clock.onDelay = () => {
        // The holder could not renew meanwhile either, and does so some seconds after.
        if (clock.now() - start <= 24_000) return;
        clock.onDelay = undefined;
        kv.set(LEASE, { holder: "", turn: 0 });
      };
      await lock.run(NAME, () => {
        assert(clock.now() - start > 24_000, "taken over after an outage");
        return Promise.resolve();
      }, {});
      assertEquals(outages > 0, true);
    },
  });

  Deno.test({
    name: `${kind}: a renewal counts on, and one after the loss of the lease takes nothing back`,
    permissions,
    fn: async () => {
      using intervals = new ManualIntervals();
      const { kv, lock } = world({ hasCheckAndSet });
      await lock.run(NAME, async () => {
        intervals.tick();
        intervals.tick();
        await settled();
        assertEquals(kv.rows.get(LEASE)?.data?.turn, 3);
        await lock.check(NAME, "write to");
        kv.set(LEASE, { holder: "other", turn: 1 });
        intervals.tick();
        await settled();
        assertEquals(kv.rows.get(LEASE)?.data, { holder: "other", turn: 1 });
        await rejectsWith("backend_locked", () => lock.check(NAME, "write to"), "was lost");
      }, {});
      assertEquals(kv.rows.get(LEASE)?.data?.holder, "other"); // not ours to give back
    },
  });

  Deno.test({
    name: `${kind}: a renewal under way does not take back an announcement`,
    permissions,
    fn: async () => {
      using intervals = new ManualIntervals();
      const { kv, lock } = world({ hasCheckAndSet });
      const late = Promise.withResolvers<void>();
      await lock.run(NAME, async () => {
        kv.nextWrite = async (write) => {
          await late.promise;
          return write();
        };
        intervals.tick();
        await settled();
        const announcing = lock.announce(NAME, "write to");
        await settled();
        late.resolve();
        await announcing;
        await settled();
        assertEquals(kv.rows.get(LEASE)?.data?.announced, true);
        intervals.tick();
        await settled();
        assertEquals(kv.rows.get(LEASE)?.data?.announced, true);
      }, {});
    },
  });

  Deno.test({
    name: `${kind}: a renewal under way when the holder ends does not put the lease back`,
    permissions,
    fn: async () => {
      using intervals = new ManualIntervals();
      const { kv, lock } = world({ hasCheckAndSet });
      const late = Promise.withResolvers<void>();
      const hasEnded = Promise.withResolvers<void>();
      const run = lock.run(NAME, async () => {
        kv.nextWrite = async (write) => {
          await late.promise;
          return write();
        };
        intervals.tick();
        await settled();
        hasEnded.resolve();
      }, {});
      await hasEnded.promise;
      await settled();
      late.resolve();
      await run;
      await settled();
      assertEquals(kv.rows.get(LEASE)?.data?.holder, "");
    },
  });

  Deno.test({
    name: `${kind}: an error while the lease is taken gives it back`,
    permissions,
    async fn() {
      const { kv, lock, make } = world({ hasCheckAndSet, lockTimeoutMs: 0 });
      const fault = new Error("no answer");
      kv.nextWrite = (write) => {
        write();
        throw fault;
      };
      assertStrictEquals(await assertRejects(() => lock.run(NAME, nothing, {})), fault);
      await make().run(NAME, nothing, {});
    },
  });

  Deno.test({
    name: `${kind}: an error at a takeover gives the lease back`,
    permissions,
    async fn() {
      const fault = new Error("no answer");
      const onTakeOver = () => Promise.reject(fault);
      const { kv, lock, make } = world({ hasCheckAndSet, onTakeOver });
      kv.set(LEASE, { holder: "dead", turn: 1 });
      assertStrictEquals(await assertRejects(() => lock.run(NAME, nothing, {})), fault);
      await make().run(NAME, nothing, {});
    },
  });

  Deno.test({
    name: `${kind}: a lease that cannot be given back does not hide what the holder did`,
    permissions,
    async fn() {
      const { kv, lock, make, clock } = world({ hasCheckAndSet });
      const value = await lock.run(NAME, () => {
        kv.nextWrite = () => {
          throw new Error("no answer");
        };
        return Promise.resolve("done");
      }, {});
      assertEquals(value, "done");
      // For this instance it is free, and for others after its time.
      const start = clock.now();
      await lock.run(NAME, nothing, {});
      assert(clock.now() - start < LEASE_MS);
      await make().run(NAME, nothing, {});
      assert(clock.now() - start < LEASE_MS);
    },
  });
}

Deno.test({
  name: "who lost its lease gives back none that another use of the instance got since",
  permissions,
  async fn() {
    const { kv, lock } = world();
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const lost = lock.run(NAME, () => first.promise, {});
    await settled();
    kv.set(LEASE, { holder: "other host", turn: 1 });
    kv.set(LEASE, { holder: "", turn: 0 });
    const later = lock.run(NAME, () => second.promise, {});
    await settled();
    const held = kv.rows.get(LEASE)?.data?.holder;
    first.resolve();
    await lost;
    assertEquals(kv.rows.get(LEASE)?.data?.holder, held);
    await lock.check(NAME, "write to");
    second.resolve();
    await later;
    assertEquals(kv.rows.get(LEASE)?.data?.holder, "");
  },
});

Deno.test({
  name: "a lease whose writing was done and not answered is one's own",
  permissions,
  async fn() {
    const { kv, lock } = world({ lockTimeoutMs: 0 });
    kv.nextWrite = (write) => void write();
    const held = await lock.run(NAME, async () => {
      await lock.check(NAME, "write to");
      return kv.rows.get(LEASE);
    }, {});
    assertEquals(held?.version, 1);
    assertEquals(kv.rows.get(LEASE)?.data?.holder, "");
  },
});

Deno.test({
  name: "a renewal that is done while the lease is given back does not keep it",
  permissions,
  async fn() {
    const { kv, lock } = world();
    await lock.run(NAME, () => {
      const holder = kv.rows.get(LEASE)?.data?.holder;
      kv.nextWrite = (write) => {
        kv.set(LEASE, { holder, turn: 2 });
        return write();
      };
      return Promise.resolve();
    }, {});
    assertEquals(kv.rows.get(LEASE)?.data?.holder, "");
  },
});

Deno.test({
  name: "a renewal that was done and not answered does not end the renewals",
  permissions,
  fn: async () => {
    using intervals = new ManualIntervals();
    const { kv, lock } = world();
    await lock.run(NAME, async () => {
      kv.nextWrite = (write) => void write();
      intervals.tick();
      await settled();
      intervals.tick();
      await settled();
      assertEquals(kv.rows.get(LEASE)?.version, 3);
    }, {});
    assertEquals(kv.rows.get(LEASE)?.data?.holder, "");
  },
});
