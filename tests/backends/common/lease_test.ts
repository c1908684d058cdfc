// The faults of a store are in the tests of vault/lock.ts and kv/connect.ts, which are made of leases.
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  ANNOUNCED_MS,
  LEASE_MS,
  type LeaseRow,
  Leases,
  type LeaseStore,
  RENEWAL_MS,
} from "../../../backends/common/lease.ts";
import { FakeClock } from "../../support/fake_clock.ts";

interface Row extends LeaseRow {
  readonly version: number;
}

/** One lease in memory, with the requests for it. */
class FakeStore implements LeaseStore<Row> {
  row: Row = { holder: "", isAnnounced: false, state: "0", version: 0 };
  readonly requests: string[] = [];
  onRead: (() => void) | undefined;

  read(): Promise<Row> {
    this.requests.push("read");
    this.onRead?.();
    return Promise.resolve(this.row);
  }

  write(
    _name: string,
    holder: string,
    row: Row,
    _use?: { timeoutMs?: number },
  ): Promise<Row | undefined> {
    this.requests.push("write");
    const isAnnounced = row.isAnnounced && row.holder === holder;
    const isLatest = row.version === this.row.version;
    return Promise.resolve(isLatest ? this.set(holder, isAnnounced) : undefined);
  }

  set(holder: string, isAnnounced = false): Row {
    const version = this.row.version + 1;
    return this.row = { holder, isAnnounced, state: `${version}`, version };
  }
}

function world() {
  const store = new FakeStore();
  const clock = new FakeClock();
  const leases = new Leases({
    store,
    timer: clock,
    lockTimeoutMs: 120_000,
    pause: () => 100,
    timedOut: () => new Error("late"),
  });
  return { store, clock, leases };
}

Deno.test("a free lease takes two requests, and its release one", async () => {
  const { store, leases } = world();
  const inside = await leases.run("a", () => Promise.resolve([...store.requests]), {});
  assertEquals(inside, ["read", "write"]);
  assertEquals(store.requests, ["read", "write", "write"]);
  assertEquals([store.row.holder, store.row.version, leases.held("a")], ["", 2, undefined]);
});

Deno.test("a store that takes four seconds for an answer gets the lease back", async () => {
  const { store, leases } = world();
  const { write } = store;
  const slow: typeof store.write = (name, holder, row, use) =>
    (use?.timeoutMs ?? Infinity) > 4_000
      ? write.call(store, name, holder, row)
      : Promise.reject(new Error("late"));
  Object.assign(store, { write: slow });
  await leases.run("a", () => Promise.resolve(), {});
  assertEquals(store.row.holder, "");
});

for (const looks of [1, 2]) {
  Deno.test(`a lease left in an outage is free here after a failure with ${looks} good reads`, async () => {
    const { store, clock, leases } = world();
    const { read, write } = store;
    const fail = () => Promise.reject(new Error("outage"));
    await leases.run("a", async () => {
      await leases.announce("a");
      Object.assign(store, { read: fail, write: fail });
    }, {});
    let good = looks;
    Object.assign(store, { read: () => good-- > 0 ? read.call(store) : fail() });
    await assertRejects(() => leases.run("a", () => Promise.resolve(), {}), Error, "outage");
    Object.assign(store, { read, write });
    await leases.run("a", () => Promise.resolve(), {});
    assertEquals([store.row.holder, clock.delays], ["", []]);
  });
}

Deno.test("a holder's silence counts from after the first look, however long that took", async () => {
  const { store, clock, leases } = world();
  store.set("dead");
  let start = 0;
  store.onRead = () => {
    store.onRead = undefined;
    clock.advance(RENEWAL_MS - 200);
    start = clock.now();
  };
  const waited = await leases.run("a", () => Promise.resolve(clock.now() - start), {});
  assert(waited >= LEASE_MS && waited < LEASE_MS + 1000, `${waited}`);
});

Deno.test("a lease is lost once another holder has it, and not by a write of its own", async () => {
  const { store, leases } = world();
  assertEquals(await leases.isLost("a"), false);
  await leases.run("a", async () => {
    const { holder } = store.row;
    store.set(holder); // a renewal whose answer did not arrive
    assertEquals(await leases.isLost("a"), false);
    assertEquals(leases.held("a"), store.row);
    store.set("other");
    assertEquals(await leases.isLost("a"), true);
  }, {});
  assertEquals(store.row.holder, "other");
});

Deno.test("a holder that has announced a refresh is given longer, before its lease is taken", async () => {
  const { store, clock, leases } = world();
  store.set("stopped", true);
  const start = clock.now();
  const waited = await leases.run("a", () => Promise.resolve(clock.now() - start), {});
  assert(waited >= ANNOUNCED_MS && waited < ANNOUNCED_MS + 1000, `${waited}`);
});

Deno.test("an announcement outlives a renewal that came first, and ends with the lease", async () => {
  const { store, leases } = world();
  await leases.run("a", async () => {
    store.set(store.row.holder); // a renewal whose answer did not arrive
    assertEquals(await leases.announce("a"), true);
    assertEquals(store.row.isAnnounced, true);
    assertEquals(leases.held("a"), store.row);
  }, {});
  assertEquals([store.row.holder, store.row.isAnnounced], ["", false]);
});

Deno.test("a holder whose lease was taken over announces nothing", async () => {
  const { store, leases } = world();
  await leases.run("a", async () => {
    store.set("other");
    assertEquals(await leases.announce("a"), false);
    assertEquals(store.row.isAnnounced, false);
  }, {});
});
