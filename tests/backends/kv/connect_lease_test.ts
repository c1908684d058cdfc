import { assert, assertEquals } from "@std/assert";
import type { Timer } from "../../../backends/common/promises.ts";
import {
  ANNOUNCED_MS,
  LEASE_MS,
  RENEWAL_MS,
  SYSTEM_TIMER,
} from "../../../backends/common/lease.ts";
import { kvLeases } from "../../../backends/kv/connect.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { KEY } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const permissions = "none";
const LEASE = ["validmind", "oidc_lease", KEY];
const PATH = "https://kv.example.com";

async function open(timer: Timer = SYSTEM_TIMER) {
  const kv = await Deno.openKv(":memory:");
  const leases = kvLeases({
    kv,
    path: PATH,
    run: (_action, operation) => operation(),
    timer,
    lockTimeoutMs: 8 * LEASE_MS,
  });
  return { kv, leases, [Symbol.dispose]: () => kv.close() };
}

type Leases = Awaited<ReturnType<typeof open>>["leases"];

/** How long `run` waits by its own clock. */
async function waited(clock: FakeClock, leases: Leases): Promise<number> {
  const begin = clock.now();
  return await leases.run(KEY, () => Promise.resolve(clock.now() - begin), {});
}

for (
  const [what, offset] of [["as it is", 0], ["a year slow", -365], ["a year fast", 365]] as const
) {
  Deno.test({
    name: `the lease of a dead holder is taken over after 15 s by a clock that is ${what}`,
    permissions,
    async fn() {
      const clock = new FakeClock(Date.now() + offset * 86_400_000);
      using opened = await open(clock);
      await opened.kv.set(LEASE, { holder: "dead" });
      const ms = await waited(clock, opened.leases);
      assert(ms >= LEASE_MS && ms < LEASE_MS + RENEWAL_MS, String(ms));
    },
  });
}

Deno.test({
  name: "an announced refresh keeps its lease for longer",
  permissions,
  async fn() {
    const clock = new FakeClock();
    using opened = await open(clock);
    await opened.leases.run(KEY, async () => {
      assertEquals(await opened.leases.announce(KEY), true);
    }, {});
    assertEquals((await opened.kv.get(LEASE)).value, null);
    await opened.kv.set(LEASE, { holder: "stopped", isAnnounced: true });
    const ms = await waited(clock, opened.leases);
    assert(ms >= ANNOUNCED_MS && ms < ANNOUNCED_MS + RENEWAL_MS, String(ms));
  },
});

Deno.test({
  name: "a lease that is renewed is not taken over, however slowly its holder's clock goes",
  permissions,
  async fn() {
    const clock = new FakeClock();
    using opened = await open(clock);
    let renewed = clock.now();
    clock.onDelay = async () => {
      if (clock.now() - renewed < LEASE_MS - 1000) return;
      renewed = clock.now();
      await opened.kv.set(LEASE, { holder: "slow" });
    };
    await opened.kv.set(LEASE, { holder: "slow" });
    await rejectsWith("backend_locked", () => waited(clock, opened.leases), PATH);
  },
});

Deno.test({
  name: "a lease is not taken over for standing still while nobody could look",
  permissions,
  async fn() {
    const clock = new FakeClock();
    using opened = await open(clock);
    await opened.kv.set(LEASE, { holder: "behind the same outage" });
    clock.onDelay = (count) => {
      if (count === 20) clock.advance(LEASE_MS);
    };
    const ms = await waited(clock, opened.leases);
    assert(ms >= 2 * LEASE_MS, String(ms));
  },
});

Deno.test({
  name: "who lost its lease gives back none that another use of the store got since",
  permissions,
  async fn() {
    using opened = await open();
    const { leases, kv } = opened;
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const run = async (end: Promise<void>) => {
      const begun = Promise.withResolvers<void>();
      const done = leases.run(KEY, () => (begun.resolve(), end), {});
      await begun.promise;
      return { done };
    };
    const lost = await run(first.promise);
    await kv.delete(LEASE); // another host took it over, and gave it back
    const later = await run(second.promise);
    const held = await kv.get(LEASE);
    first.resolve();
    await lost.done;
    assertEquals(await kv.get(LEASE), held);
    assertEquals(await leases.isLost(KEY), false);
    second.resolve();
    await later.done;
    assertEquals((await kv.get(LEASE)).value, null);
  },
});

Deno.test({
  name: "a holder whose renewal was done without an answer still holds the lease",
  permissions,
  async fn() {
    using opened = await open();
    const { leases, kv } = opened;
    await leases.run(KEY, async () => {
      const { value } = await kv.get(LEASE);
      await kv.set(LEASE, value);
      assertEquals(await leases.isLost(KEY), false);
      assertEquals(leases.held(KEY)?.versionstamp, (await kv.get(LEASE)).versionstamp);
      await kv.set(LEASE, value);
    }, {});
    assertEquals((await kv.get(LEASE)).value, null);
  },
});

Deno.test({
  name: "who took a lease without an answer finds it its own",
  permissions,
  async fn() {
    const clock = new FakeClock();
    using opened = await open(clock);
    const { leases, kv } = opened;
    const original = kv.constructor.prototype.atomic;
    let lost = 0;
    // A commit that is done and then tells that it failed: what a second try of it tells.
    kv.constructor.prototype.atomic = function (...args: []) {
      const atomic = original.apply(this, args);
      const commit = atomic.commit.bind(atomic);
      atomic.commit = async () => lost++ === 0 ? (await commit(), { ok: false }) : await commit();
      return atomic;
    };
    try {
      assert(await waited(clock, leases) < LEASE_MS);
    } finally {
      kv.constructor.prototype.atomic = original;
    }
    assert(lost > 1);
    assertEquals((await kv.get(LEASE)).value, null);
  },
});
