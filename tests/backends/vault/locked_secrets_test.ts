import { assert, assertEquals, assertRejects } from "@std/assert";
import { LOCK_TIMEOUT_MS, LockedSecrets } from "../../../backends/vault/locked_secrets.ts";
import { ManualIntervals } from "../../support/manual_intervals.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { replace } from "../../support/replace.ts";
import { LateCluster, type Route, SimulatedTime } from "./late_engine.ts";

const USE = { action: "use" };
const SILENT_MS = 23_000;

/** A provider that takes a second use of a refresh token for a theft. */
class Provider {
  grant = 0;
  isEnded = false;
  refreshes = 0;

  refresh(grant: number): number {
    if (grant !== this.grant) this.isEnded = true;
    this.refreshes++;
    return this.grant = grant + 1;
  }
}

interface World {
  time: SimulatedTime;
  cluster: LateCluster;
  provider: Provider;
  process(route?: Route, lockTimeoutMs?: number): LockedSecrets;
}

function world(): World {
  const time = new SimulatedTime();
  const cluster = new LateCluster(time);
  const process = (route: Route = ACTIVE, lockTimeoutMs = 40_000) =>
    new LockedSecrets({
      engine: cluster.engine(route),
      place: () => "the store",
      timer: time,
      lockTimeoutMs,
    });
  return { time, cluster, provider: new Provider(), process };
}

const ACTIVE: Route = { node: () => 0, lagMs: 0 };

const signIn = async (secrets: LockedSecrets, grant: number) =>
  await secrets.run("a", "k", async () => {
    assertEquals(await secrets.replace("a", entry(grant), undefined, USE), true);
  }, {});

const entry = (grant: number) => ({ key: "k", text: JSON.stringify({ grant }) });
const grantIn = (text: string) => text === "" ? undefined : JSON.parse(text).grant as number;

/** A refresh as a session does one; `before` runs at the last moment before the grant is sent. */
async function refresh(
  secrets: LockedSecrets,
  provider: Provider,
  known: number,
  before: () => Promise<void> = () => Promise.resolve(),
): Promise<number | undefined> {
  return await secrets.run("a", "k", async () => {
    const stored = grantIn((await secrets.row("a", "k", USE)).text);
    if (stored !== known) return stored; // another process was first, or signed out
    await before();
    if (grantIn((await secrets.row("a", "k", USE)).text) !== known) return undefined;
    const next = provider.refresh(known);
    const isStored = await secrets.replace(
      "a",
      entry(next),
      ({ text }) => grantIn(text) === known,
      USE,
    );
    return isStored ? next : undefined;
  }, {});
}

const ROUTES: [name: string, nodes: (process: number) => Route["node"]][] = [
  ["alternating", () => (request) => request % 2],
  ["sticky", (process) => () => process % 2],
  ["mostly late", () => (request) => request % 5 === 4 ? 0 : 1],
];

for (const lagMs of [0, 2, 20, 100, 500, 5_000, Infinity]) {
  for (const [name, nodes] of ROUTES) {
    // Nobody gets anywhere by a node that never catches up.
    const isStuck = lagMs === Infinity && name === "sticky";
    Deno.test(`late reads: ${name} standbys, ${lagMs} ms behind, lose nothing`, async () => {
      const { time, cluster, provider, process } = world();
      const all = [0, 1, 2, 3].map((at) => process({ node: isStuck ? () => 0 : nodes(at), lagMs }));
      await time.run(signIn(all[0]!, 0));
      for (let round = 0; round < 3; round++) {
        const { grant } = provider;
        const got = await time.run(Promise.all(all.map((one) => refresh(one, provider, grant))));
        assertEquals([provider.refreshes, provider.isEnded], [round + 1, false]);
        assert(got.includes(grant + 1), `${got}`);
        await time.run(time.delay(60_000));
      }
      await time.run(all[1]!.empty("a", "k", USE));
      assertEquals(cluster.newest.text, "");
      await time.run(time.delay(60_000));
      assertEquals(grantIn(cluster.newest.text), undefined);
    });
  }
}

Deno.test("late reads: a sign-out during a refresh is not undone, and a late node refuses no sign-out", async () => {
  for (const lagMs of [0, 100, 5_000, Infinity]) {
    const { time, cluster, provider, process } = world();
    const one = process({ node: (request) => request % 2, lagMs });
    const other = process({ node: () => 1, lagMs });
    await time.run(signIn(one, 0));
    const result = await time.run(
      refresh(one, provider, 0, async () => void await other.empty("a", "k", USE)),
    );
    assertEquals([result, cluster.newest.text], [undefined, ""]);
  }
});

Deno.test("late reads: a process that stood still before the grant was sent does not send it", async () => {
  for (const stopMs of [1_000, 11_000, 30_000, 120_000]) {
    const { time, cluster, provider, process } = world();
    const route = { node: (request: number) => request % 2, lagMs: 100 };
    const [stopped, other] = [process(route), process(route)];
    await time.run(signIn(stopped, 0));
    const first = refresh(stopped, provider, 0, () => time.delay(stopMs));
    const second = time.delay(50).then(() => refresh(other, provider, 0));
    await time.run(Promise.all([first, second]));
    assertEquals([provider.isEnded, provider.refreshes], [false, 1]);
    assertEquals(grantIn(cluster.newest.text), 1);
  }
});

Deno.test("a clock that jumps two hours either way costs one more write, and no grant", async () => {
  for (const jump of [7_200_000, -7_200_000]) {
    const { time, cluster, provider, process } = world();
    const secrets = process();
    await time.run(signIn(secrets, 0));
    const before = cluster.history.length;
    const { now } = Date;
    let offset = 0;
    using _ = replace(Date, "now", () => now() + offset);
    const jumps = () => Promise.resolve(void (offset = jump));
    assertEquals(await time.run(refresh(secrets, provider, 0, jumps)), 1);
    assertEquals([provider.isEnded, grantIn(cluster.newest.text)], [false, 1]);
    assertEquals(cluster.history.length - before, 4); // the lock, the proof, the result, the release
  }
});

Deno.test("a lock of a process that was killed is free within 30 seconds, and its grant is kept", async () => {
  using _ = new ManualIntervals(); // a killed process gives no sign
  const { time, provider, process } = world();
  const [killed, other] = [process(), process()];
  await time.run(signIn(killed, 0));
  const dead = killed.run("a", "k", () => new Promise<void>(() => {}), {});
  await time.run(time.delay(100));
  const start = time.now();
  assertEquals(await time.run(refresh(other, provider, 0)), 1);
  const ms = time.now() - start;
  assert(ms >= SILENT_MS && ms < 30_000, `${ms}`);
  assert(LOCK_TIMEOUT_MS > 30_000 && LOCK_TIMEOUT_MS <= 60_000, "a wait is longer by default");
  dead.catch(() => undefined);
});

Deno.test("a waiter that stands still between two looks counts five seconds of them", async () => {
  using _ = new ManualIntervals();
  const { time, process } = world();
  const [killed, other] = [process(), process(ACTIVE, 10)];
  killed.run("a", "k", () => new Promise<void>(() => {}), {}).catch(() => undefined);
  const taken: boolean[] = [];
  for (let look = 0; look < 7; look++) {
    await time.run(time.delay(12_000));
    const run = other.run("a", "k", () => Promise.resolve(true), {});
    taken.push(await time.run(run.catch(() => false)));
  }
  assertEquals(taken.indexOf(true), 5);
});

Deno.test("a write of the last ten seconds proves the lock, and an older one is repeated", async () => {
  const { time, cluster, process } = world();
  const secrets = process();
  const writesAfter = async (ms: number) => {
    const before = cluster.history.length;
    await time.delay(ms);
    await secrets.row("a", "k", USE);
    return cluster.history.length - before;
  };
  const run = async () => [await writesAfter(9_900), await writesAfter(200)];
  assertEquals(await time.run(secrets.run("a", "k", run, {})), [0, 1]);
});

Deno.test("an own write counts for a minute where a node is behind", async () => {
  const { time, process } = world();
  let node = 0;
  const secrets = process({ node: () => node, lagMs: Infinity });
  await time.run(signIn(secrets, 7));
  node = 1;
  for (const [ms, grant] of [[59_000, 7], [2_000, undefined]] as const) {
    await time.run(time.delay(ms));
    assertEquals(grantIn((await time.run(secrets.row("a", "k", USE))).text), grant);
  }
});

Deno.test("a wait for a lock ends by its time, by its signal and by a look", async () => {
  const { time, cluster, process } = world();
  const [holder, other, patient] = [process(), process(ACTIVE, 3_000), process()];
  const held = holder.run("a", "k", () => time.delay(40_000), {});
  await time.run(time.delay(100));
  const run = () => Promise.resolve("run");
  const wait = () => time.run(other.run("a", "k", run, {}));
  await rejectsWith("backend_locked", wait, "within 3000 ms", "Wait for it or end it");
  const longer = process(ACTIVE, 19_000);
  const before = cluster.reads;
  await rejectsWith("backend_locked", () => time.run(longer.run("a", "k", run, {})), "19000 ms");
  const looks = cluster.reads - before;
  assert(looks > 40 && looks < 80, `${looks} looks in 19 s`);
  const abort = new AbortController();
  const waiting = patient.run("a", "k", run, { signal: abort.signal });
  abort.abort(new Error("enough"));
  await assertRejects(() => time.run(waiting), Error, "enough");
  const peek = () => "seen";
  assertEquals(await time.run(patient.run("a", "k", run, { peek })), "seen");
  await time.run(held);
});

Deno.test("a sign-in whose lock was lost to a sign-out is dropped, by a code", async () => {
  const { time, cluster, process } = world();
  const [one, other] = [process(), process()];
  const run = () =>
    one.run("a", "k", async () => {
      await other.empty("a", "k", USE);
      await one.replace("a", entry(7), undefined, USE);
    }, {});
  await rejectsWith("backend_locked", () => time.run(run()), "somebody signed out meanwhile");
  assertEquals(cluster.newest.text, "");
});

Deno.test("a sign-out by the lock's own holder ends the lock, and nothing is written under it later", async () => {
  const { time, cluster, process } = world();
  const [one, other] = [process(), process()];
  const run = () =>
    one.run("a", "k", async () => {
      await one.empty("a", "k", USE);
      await other.run("a", "k", () => other.replace("a", entry(8), undefined, USE), {});
      await one.replace("a", entry(7), undefined, USE);
    }, {});
  await rejectsWith("backend_locked", () => time.run(run()), "the lock was lost");
  assertEquals(grantIn(cluster.newest.text), 8);
});

Deno.test("a change that never gets through ends within its time, and says how often it was tried", async () => {
  const { time, process } = world();
  const stuck = process({ node: () => 1, lagMs: Infinity });
  await time.run(stuck.empty("a", "k", USE));
  const start = time.now();
  const write = () => time.run(stuck.replace("a", entry(1), undefined, USE));
  await rejectsWith("backend_locked", write, /after \d+ tries in 1\d{4} ms/.source.slice(0, 6));
  assert(time.now() - start < 17_000);
});

/** A generator of numbers below 1 that gives the same ones for the same seed. */
function numbersOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

Deno.test("late reads: 200 random hours of four processes, with kills, stops and sign-outs, lose nothing", async () => {
  using _ = new ManualIntervals(); // a killed process gives no sign
  const lags = [0, 2, 20, 100, 500, 5_000, Infinity];
  for (let seed = 1; seed <= 200; seed++) {
    const next = numbersOf(seed);
    const pick = <T>(all: readonly T[]) => all[Math.floor(next() * all.length)]!;
    const { time, cluster, provider, process } = world();
    const lagMs = pick(lags);
    const route = () => ({ node: pick(ROUTES)[1](lagMs === Infinity ? 0 : pick([0, 1])), lagMs });
    const all = Array.from({ length: 4 }, () => process(route()));
    await time.run(signIn(all[0]!, 0)); // 200 of 200 are stored
    const isKilled = next() < 0.3;
    if (isKilled) {
      all[3]!.run("a", "k", () => new Promise(() => {}), {}).catch(() => undefined);
      await time.run(time.delay(100));
    }
    const stops = [0, 0, 1_000, 12_000, 30_000, 60_000];
    const work = all.slice(0, 3).map(async (one) => {
      await time.delay(1_000 * next());
      const stop = pick(stops);
      await refresh(one, provider, 0, () => time.delay(stop)).catch((error) => {
        assertEquals(error.code, "backend_locked"); // within the limits
      });
    });
    let signedOut = false;
    if (next() < 0.4) {
      work.push(
        time.delay(20_000 * next()).then(async () => {
          await all[2]!.empty("a", "k", USE);
          signedOut = true;
        }),
      );
    }
    await time.run(Promise.all(work));
    assert(!provider.isEnded, `seed ${seed}: a grant was sent twice`);
    const stored = grantIn(cluster.newest.text);
    assertEquals(stored, signedOut ? undefined : provider.grant, `seed ${seed}`);
  }
});
