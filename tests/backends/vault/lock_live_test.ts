import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { secretName } from "../../../backends/vault/store.ts";
import { SILENT_MS } from "../../../backends/common/lease.ts";
import type { VaultCredentialsBackendOptions } from "../../../backends/vault/options.ts";
import { VaultStore } from "../../../backends/vault/store.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { startVault } from "../../support/servers/vault_server.ts";
import { ALL, backendUrl, startDeno } from "../../support/deno_process.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { userToken, vaultBackend } from "./vault_world.ts";
import { ManualIntervals } from "../../support/manual_intervals.ts";
import { liveTests } from "../../support/servers/live_tests.ts";

const live = await liveTests("vault");

const vault = await live.shared(() => startVault());
const token = await live.shared(() => userToken(vault, "anna"));
live.afterAll(async () => await vault[Symbol.asyncDispose]());

const NAME = await secretName(KEY);
const LEASE = `secret/data/users/anna/${NAME}.lock`;
const nothing = () => Promise.resolve();

function later(ms = 5): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A store whose waits pass at once, on a clock of its own. */
function hasty(clock: FakeClock, options: Partial<VaultCredentialsBackendOptions> = {}) {
  return VaultStore.open(
    { address: vault.url, path: "users/anna", auth: { method: "token", token }, ...options },
    clock,
  );
}

// deno-lint-ignore no-explicit-any -- as Vault has it
async function lease(): Promise<{ version: number; holder: any }> {
  const { body } = await vault.request("GET", LEASE);
  return { version: body.data?.metadata.version ?? 0, ...body.data?.data };
}

function open(lockTimeoutMs = 30_000) {
  const one = vaultBackend(vault, token, { lockTimeoutMs });
  const other = vaultBackend(vault, token, { lockTimeoutMs });
  const dispose = async () => {
    await one.deleteAll();
    await one.close();
    await other.close();
  };
  return { one, other, [Symbol.asyncDispose]: dispose };
}

live.test("a Vault lock lets one holder at a time run, within a backend and between two", async () => {
  await using opened = open();
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
});

live.test("a Vault lock is released at once, also when the function throws", async () => {
  await using opened = open(0);
  const { one, other } = opened;
  const fault = new Error("the holder's own");
  assertStrictEquals(
    await assertRejects(() => one.withLock(KEY, () => Promise.reject(fault))),
    fault,
  );
  assertEquals((await lease()).holder, "");
  assertEquals(await other.withLock(KEY, () => Promise.resolve("free")), "free");
});

live.test("a Vault lock that is held is backend_locked after the time limit", async () => {
  await using opened = open(30);
  const { one, other } = opened;
  await one.withLock(KEY, async () => {
    await rejectsWith("backend_locked", () => other.withLock(KEY, nothing), "30 ms", "127.0.0.1");
    await rejectsWith("backend_locked", () => one.withLock(KEY, nothing), "30 ms");
    await other.withLock(OTHER, nothing);
  });
});

live.test("the wait for a Vault lock ends with the signal's reason, and with what peek sees", async () => {
  await using opened = open();
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
    const looks = [undefined, "seen"];
    const peek = () => looks.shift() as unknown as boolean | undefined;
    assertEquals(await other.withLock(KEY, run, { peek }) as unknown, "seen");
  });
  const before = await assertRejects(() => one.withLock(KEY, run, { signal: abort.signal }));
  assertStrictEquals(before, reason);
  assertEquals(hasRun, false);
  assertEquals((await lease()).holder, "");
});

live.test("locks are not listed among the entries", async () => {
  await using opened = open();
  const { one } = opened;
  await one.put(OTHER, entry());
  assertEquals(await one.withLock(KEY, () => Array.fromAsync(one.list())), [OTHER]);
});

live.test("a lease is renewed while its holder runs, and his writes go on", async () => {
  using intervals = new ManualIntervals();
  await using opened = open();
  const { one } = opened;
  await one.withLock(KEY, async () => {
    const before = await lease();
    intervals.tick();
    intervals.tick();
    await one.put(KEY, entry());
    while ((await lease()).version === before.version) await later();
    assertEquals((await lease()).holder, before.holder);
    await one.put(KEY, entry({ x_second: 2 }));
  });
  assertEquals(await one.get(KEY), entry({ x_second: 2 }));
  assertEquals((await lease()).holder, "");
});

live.test("a renewal under way when the holder ends does not leave the lease behind", async () => {
  using intervals = new ManualIntervals();
  await using opened = open();
  const { one, other } = opened;
  for (let i = 0; i < 20; i++) await one.withLock(KEY, () => Promise.resolve(intervals.tick()));
  assertEquals((await lease()).holder, "");
  await other.withLock(KEY, nothing);
});

live.test("the lease of a holder that was killed is taken over once it was silent for its time", async () => {
  await using opened = open();
  const { one } = opened;
  await one.put(KEY, entry());
  await using child = startDeno({
    flags: ALL,
    code: `
    import { VaultCredentialsBackend } from ${JSON.stringify(backendUrl("vault.ts"))};
    const backend = new VaultCredentialsBackend({
      address: ${JSON.stringify(vault.url)}, path: "users/anna",
      auth: { method: "token", token: ${JSON.stringify(token)} },
    });
    await backend.withLock(${JSON.stringify(KEY)}, async () => {
      console.log("held");
      for await (const _ of Deno.stdin.readable);
    });`,
  });
  assertEquals(await child.line(), "held");
  await child.kill();
  const clock = new FakeClock();
  const store = await hasty(clock);
  const start = clock.now();
  assertEquals(await store.withLock(KEY, () => Promise.resolve("taken"), {}), "taken");
  assert(clock.now() - start >= SILENT_MS);
  assert(clock.now() - start < SILENT_MS + 1_000);
  store.close();
});

live.test("a lease that is renewed is not taken over, however late the waiter's clock", async () => {
  await using opened = open();
  const { one } = opened;
  {
    using intervals = new ManualIntervals();
    await one.withLock(KEY, async () => {
      const clock = new FakeClock(4e12);
      clock.onDelay = async (count) => {
        if (count % 10 !== 0) return; // some seconds of the waiter's
        const { version } = await lease();
        intervals.tick();
        while ((await lease()).version === version) await later(1);
      };
      const store = await hasty(clock, { lockTimeoutMs: 120_000 });
      await rejectsWith("backend_locked", () => store.withLock(KEY, nothing, {}), "120000 ms");
      store.close();
    });
  }
});

for (const change of ["put", "delete"] as const) {
  live.test(`a ${change} after the lease was taken over fails and changes nothing`, async () => {
    await using opened = open();
    const { one, other } = opened;
    await one.put(KEY, entry());
    await one.withLock(KEY, async () => {
      const store = await hasty(new FakeClock());
      await store.withLock(KEY, async () => {
        const write = () => change === "put" ? one.put(KEY, entry()) : one.delete(KEY);
        await rejectsWith("backend_locked", write, "the lock was lost", "users/anna");
        await store.put(KEY, entry({ x_theirs: true }));
        await rejectsWith("backend_locked", write, "the lock was lost");
        await one.put(OTHER, entry()); // whose lock is not concerned
      }, {});
      store.close();
    });
    assertEquals(await other.get(KEY), entry({ x_theirs: true }));
    await one.put(KEY, entry()); // outside a lock there is nothing to lose
  });
}

live.test("a write that stands still while a later holder writes fails, too", async () => {
  await using opened = open();
  const { one, other } = opened;
  await one.put(KEY, entry());
  const late = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  let isSlow = false;
  const slow = await VaultStore.open({
    address: vault.url,
    path: "users/anna",
    auth: { method: "token", token },
    fetch: async (input, init) => {
      const isWrite = init?.method === "POST" && String(input).endsWith(`/data/users/anna/${NAME}`);
      if (isSlow && isWrite) {
        isSlow = false;
        reached.resolve();
        await late.promise;
      }
      return await fetch(input, init);
    },
  });
  await slow.withLock(KEY, async () => {
    isSlow = true;
    const writing = slow.put(KEY, entry({ x_late: true }));
    await reached.promise; // the lease was looked at, and the write is on its way
    const store = await hasty(new FakeClock());
    await store.withLock(KEY, () => store.put(KEY, entry({ x_theirs: true })), {});
    late.resolve();
    await rejectsWith("backend_locked", () => writing, "the lock was lost");
    store.close();
  }, {});
  slow.close();
  assertEquals(await other.get(KEY), entry({ x_theirs: true }));
});

live.test("a lease that somebody removed is a lock that was lost", async () => {
  await using opened = open();
  const { one } = opened;
  await one.withLock(KEY, async () => {
    await one.deleteAll();
    await rejectsWith("backend_locked", () => one.put(KEY, entry()), "the lock was lost");
  });
  assertEquals(await one.get(KEY), undefined);
});
