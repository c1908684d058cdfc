// Locks in a Vault whose answers take long, with check-and-set and without.
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { vaultLock } from "../../../backends/vault/lock.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { FakeKv, LEASE, NAME, nothing, world } from "./lock_world.ts";

const permissions = "none";

/** A clock of which time passes for all who wait at once, to the next who is due. */
class SharedClock {
  #now = 0;
  #waiting: { due: number; resolve: () => void }[] = [];
  readonly now = () => this.#now;
  readonly delay = (ms: number) =>
    new Promise<void>((resolve) => this.#waiting.push({ due: this.#now + ms, resolve }));

  async run(work: Promise<unknown>): Promise<void> {
    let isOver = false;
    const over = work.finally(() => isOver = true);
    over.catch(() => undefined);
    while (!isOver) {
      for (let turn = 0; turn < 30; turn++) await null; // all that is ready runs
      this.#waiting.sort((one, other) => one.due - other.due);
      const next = this.#waiting.shift();
      if (next === undefined) continue;
      this.#now = next.due;
      next.resolve();
    }
    await over;
  }
}

for (const hasCheckAndSet of [true, false]) {
  const kind = hasCheckAndSet ? "with check-and-set" : "without check-and-set";

  Deno.test({
    name: `${kind}: one holder at a time runs, however slow the server is for each`,
    permissions,
    async fn() {
      for (let round = 0; round < 100; round++) {
        const clock = new SharedClock();
        const kv = new FakeKv(hasCheckAndSet);
        const { read, write } = kv;
        const slowly = async <T>(request: () => Promise<T>, longest: number) => {
          await clock.delay(Math.random() * longest);
          const value = await request();
          await clock.delay(Math.random() * longest);
          return value;
        };
        // Now and then longer than what a holder without check-and-set relies on.
        const farther = round % 4 === 0 ? 4 : 1;
        kv.read = (...args) => slowly(() => read.apply(kv, args), farther * 150);
        kv.write = (...args) =>
          slowly(() => write.apply(kv, args), round % 2 ? 150 : farther * 150 + 250);
        let inside = 0;
        let runs = 0;
        const hold = async () => {
          assertEquals(++inside, 1);
          runs++;
          await clock.delay(Math.random() * 1_000);
          inside--;
        };
        const lockTimeoutMs = 600_000;
        const options = { kv, place: "x", timer: clock, lockTimeoutMs, onTakeOver: nothing };
        const locks = Array.from({ length: 6 }, () => vaultLock(options));
        await clock.run(Promise.all(locks.map((lock) => lock.run(NAME, hold, {}))));
        assertEquals(runs, 6);
      }
    },
  });
}

/** A world in which each request takes this round trip. */
function distant(rttMs: number, lockTimeoutMs = 30_000) {
  const { kv, clock, lock } = world({ hasCheckAndSet: false, lockTimeoutMs });
  const { read, write } = kv;
  const requests = { write: rttMs };
  kv.read = (...args) => (clock.advance(rttMs), read.apply(kv, args));
  kv.write = (...args) => (clock.advance(requests.write), write.apply(kv, args));
  return { kv, clock, lock, requests };
}

for (const rttMs of [0, 100, 270, 600, 1_500, 2_400]) {
  Deno.test({
    name: `without check-and-set, a Vault at a round trip of ${rttMs} ms is locked in time`,
    permissions,
    async fn() {
      const { kv, clock, lock } = distant(rttMs);
      const start = clock.now();
      await lock.run(NAME, () => lock.check(NAME, "write to"), {});
      assert(clock.now() - start < 30_000, `${clock.now() - start} ms`);
      assertEquals(kv.rows.get(LEASE)?.data?.holder, "");
    },
  });
}

Deno.test({
  name: "without check-and-set, a Vault that is too slow is called so, and keeps no lease",
  permissions,
  async fn() {
    const { kv, lock } = distant(2_600);
    const error = await rejectsWith(
      "backend_timeout",
      () => lock.run(NAME, nothing, {}),
      "5200 ms",
    );
    assertEquals(error.message.includes("another notebook"), false);
    assertEquals(kv.rows.get(LEASE)?.data?.holder, "");
  },
});

Deno.test({
  name: "without check-and-set, a write that took too long does not get the lock, and leaves none",
  permissions,
  async fn() {
    const { kv, lock, requests } = distant(0, 0);
    requests.write = 501; // in which another one may have looked at its name, and begun
    await rejectsWith("backend_timeout", () => lock.run(NAME, nothing, {}), "501 ms");
    assertEquals(kv.rows.get(LEASE)?.data?.holder, "");
    await lock.run(NAME, nothing, {}); // it knows now how long a write may take
  },
});

Deno.test({
  name: "without check-and-set, a near host settles as long as a distant one that takes part",
  permissions,
  async fn() {
    const { kv, clock, lock } = distant(0);
    kv.set(LEASE, { holder: "", turn: 0, settle_ms: 3_000 });
    const start = clock.now();
    await lock.run(NAME, nothing, {});
    assert(clock.now() - start > 5_000, `${clock.now() - start}`);
    for (let i = 0; i < 20; i++) await lock.run(NAME, nothing, {});
    assertEquals(kv.rows.get(LEASE)?.data?.settle_ms, 500); // nobody distant came again
  },
});

Deno.test({
  name: "without check-and-set, an end of the wait while it settles leaves no lease",
  permissions,
  async fn() {
    const { kv, clock, lock } = distant(0);
    const abort = new AbortController();
    const reason = new Error("enough");
    clock.onDelay = () => abort.abort(reason);
    const run = () => lock.run(NAME, nothing, { signal: abort.signal });
    assertStrictEquals(await assertRejects(run), reason);
    assertEquals(kv.rows.get(LEASE)?.data?.holder, "");
  },
});
