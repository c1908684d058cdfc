import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  type LeaseRow,
  Leases,
  type LeaseStore,
  LOCK_TIMEOUT_MS,
  SIGN_MS,
  SILENT_MS,
} from "../../../backends/common/lease.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { ManualIntervals } from "../../support/manual_intervals.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

type Row = LeaseRow & { readonly version: number };

/** One lease in memory that is compared before it is written. */
class FakeStore implements LeaseStore {
  row: Row = { holder: "", version: 0 };
  /** Runs once, instead of the next write, with what would do it. */
  nextWrite: ((write: () => Row | undefined) => Row | undefined | Promise<Row>) | undefined;

  read(): Promise<Row> {
    return Promise.resolve(this.row);
  }

  async write(_name: string, holder: string, row: LeaseRow): Promise<number | undefined> {
    const write = () => row.version === this.row.version ? this.set(holder) : undefined;
    const hook = this.nextWrite;
    this.nextWrite = undefined;
    return (await (hook ? hook(write) : write()))?.version;
  }

  set(holder: string): Row {
    const version = this.row.version + 1;
    return this.row = { holder, version };
  }
}

function world(lockTimeoutMs = LOCK_TIMEOUT_MS) {
  const store = new FakeStore();
  const clock = new FakeClock();
  const make = () => new Leases({ store, place: () => "the store", timer: clock, lockTimeoutMs });
  const leases = make();
  /** How long it takes to get the lease. */
  const wait = async (of = leases) => {
    const start = clock.now();
    return await of.run("a", () => Promise.resolve(clock.now() - start), {});
  };
  return { store, clock, leases, make, wait };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("the lease of a holder that was killed is free within 30 seconds, for default options", async () => {
  const { store, wait } = world();
  store.set("dead");
  const ms = await wait();
  assert(ms >= SILENT_MS && ms < 27_000, `${ms}`);
  assert(LOCK_TIMEOUT_MS > 35_000);
});

const PAUSES = [["shows life in time", SIGN_MS], ["pauses for 20 s", 22_000]] as const;

for (const [what, silentMs] of PAUSES) {
  Deno.test(`a holder that ${what} keeps its lease`, async () => {
    const { store, clock, wait } = world(120_000);
    store.set("slow");
    let shown = clock.now();
    clock.onDelay = () => {
      if (clock.now() - shown < silentMs) return;
      shown = clock.now();
      store.set("slow");
    };
    await rejectsWith("backend_locked", wait, "the store within 120000 ms", "another notebook");
  });
}

Deno.test("what a wait has seen counts for the next one", async () => {
  const { store, wait } = world(9_000);
  store.set("dead");
  for (let i = 0; i < 2; i++) await rejectsWith("backend_locked", wait, "9000 ms");
  assert(await wait() < 9_000);
});

Deno.test("the time in which nobody looked counts five seconds at most", async () => {
  const { store, clock, wait } = world(7_200_000);
  store.set("behind the same outage, or on the same closed laptop");
  clock.onDelay = (count) => {
    if (count === 20) clock.advance(3_600_000);
  };
  const ms = await wait() - 3_600_000;
  assert(ms >= SILENT_MS - 5_000, `${ms}`);
});

Deno.test("a holder shows life every two seconds, by one request at a time", async () => {
  using intervals = new ManualIntervals();
  const { store, leases } = world();
  await leases.run("a", async () => {
    const { holder } = store.row;
    intervals.tick();
    intervals.tick();
    await settled();
    assertEquals([store.row.holder, store.row.version], [holder, 2]);
    store.nextWrite = (write) => (write(), undefined); // done, and not answered
    intervals.tick();
    await settled();
    intervals.tick();
    await settled();
    assertEquals(store.row.version, 4);
  }, {});
  assertEquals([store.row.holder, intervals.count], ["", 0]);
});

for (const isWritten of [true, false]) {
  const way = isWritten ? "written and not answered" : "on its way";
  Deno.test(`a sign of life that is ${way} at the end does not leave the lease behind`, async () => {
    using intervals = new ManualIntervals();
    const { store, leases } = world();
    const late = Promise.withResolvers<void>();
    const run = leases.run("a", async () => {
      store.nextWrite = async (write) => {
        const row = isWritten ? write() : undefined;
        await late.promise;
        return row ?? write()!;
      };
      intervals.tick();
      await settled();
    }, {});
    await settled();
    await settled();
    late.resolve();
    await run;
    await settled();
    assertEquals([store.row.holder, leases.held("a")], ["", undefined]);
  });
}

Deno.test("a sign of life does not take back a lease that was lost", async () => {
  using intervals = new ManualIntervals();
  const { store, leases } = world();
  await leases.run("a", async () => {
    store.set("other");
    intervals.tick();
    await settled();
    const look = () => leases.assertHeld("a", "write to");
    await rejectsWith("backend_locked", look, "Cannot write to");
  }, {});
  assertEquals(store.row.holder, "other");
});

Deno.test("a lease is lost once another holder has it, and not by a write of its own", async () => {
  const { store, leases } = world();
  await leases.assertHeld("a", "write to"); // outside a lock there is nothing to lose
  await leases.run("a", async () => {
    store.set(store.row.holder); // a sign of life whose answer did not arrive
    await leases.assertHeld("a", "write to");
    assertEquals(leases.held("a"), store.row);
    store.set("");
    await rejectsWith("backend_locked", () => leases.assertHeld("a", "write to"), "was lost");
  }, {});
  assertEquals(store.row.version, 3);
});

Deno.test("the uses of one instance take turns, also after one has lost its lease", async () => {
  const { store, leases } = world();
  const first = Promise.withResolvers<void>();
  const order: string[] = [];
  const lost = leases.run("a", async () => {
    store.set("other host");
    store.set("");
    await first.promise;
    order.push("first");
  }, {});
  const later = leases.run("a", () => Promise.resolve(order.push("second")), {});
  await settled();
  first.resolve();
  await Promise.all([lost, later]);
  assertEquals([order, store.row.holder], [["first", "second"], ""]);
});

Deno.test("a lease whose writing was done and not answered is one's own", async () => {
  const { store, leases } = world(0);
  store.nextWrite = (write) => (write(), undefined);
  await leases.run("a", () => leases.assertHeld("a", "write to"), {});
  assertEquals([store.row.holder, store.row.version], ["", 2]);
});

Deno.test("an error while the lease is taken gives it back", async () => {
  const { store, leases, make, wait } = world(0);
  const fault = new Error("no answer");
  store.nextWrite = (write) => {
    write();
    throw fault;
  };
  assertStrictEquals(await assertRejects(() => leases.run("a", settled, {})), fault);
  assertEquals(await wait(make()), 0);
});

Deno.test("a lease that cannot be given back ends for others by its silence, and here at once", async () => {
  const { store, leases, make, wait } = world();
  const fail = () => Promise.reject(new Error("outage"));
  const { read, write } = store;
  const value = await leases.run("a", () => {
    Object.assign(store, { read: fail, write: fail });
    return Promise.resolve("done");
  }, {});
  Object.assign(store, { read, write });
  assertEquals(value, "done");
  const { row } = store;
  assertEquals(await wait(), 0);
  store.set(row.holder);
  assert(await wait(make()) >= SILENT_MS);
});

Deno.test("the wait ends with the signal's reason, and with what peek sees", async () => {
  const { store, leases, clock } = world();
  store.set("other");
  const abort = new AbortController();
  const reason = new Error("enough");
  clock.onDelay = () => abort.abort(reason);
  const never = () => Promise.reject(new Error("ran"));
  const run = () => leases.run("a", never, { signal: abort.signal });
  assertStrictEquals(await assertRejects(run), reason);
  assertStrictEquals(await assertRejects(run), reason);
  clock.onDelay = undefined;
  const looks = [undefined, "seen"];
  const peek = () => Promise.resolve(looks.shift());
  assertEquals(await leases.run<string>("a", never, { peek }), "seen");
});
