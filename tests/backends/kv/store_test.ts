/** Deno KV on a server, scripted. What only a real one shows is in `tests/live/`. */
import { assertEquals } from "@std/assert";
import { KvCredentialsBackend } from "../../../backends/kv.ts";
import type { CredentialsBackendErrorCode } from "../../../backends/credentials_backend_error.ts";
import { KvStore } from "../../../backends/kv/store.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { ManualIntervals } from "../../support/manual_intervals.ts";
import { withEnv } from "../../support/own_env.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { replace } from "../../support/replace.ts";
import { ScriptedKvServer } from "./scripted_kv_server.ts";
import { isReplaced } from "../stores.ts";

const ACCESS_TOKEN = "kvToken5Jw8Rz1Qb";
const NEXT = entry({ access_token: "next" });
const nothing = () => Promise.resolve();
const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

interface World {
  server: ScriptedKvServer;
  clock: FakeClock;
  open(timeoutMs?: number): Promise<KvStore>;
}

function test(name: string, fn: (world: World) => Promise<void>): void {
  Deno.test(`kv server: ${name}`, () =>
    withEnv({ DENO_KV_ACCESS_TOKEN: ACCESS_TOKEN }, async () => {
      using server = await ScriptedKvServer.open();
      const clock = new FakeClock();
      const open = (timeoutMs = 5000) =>
        KvStore.open({ path: server.url, lockTimeoutMs: 1000, timeoutMs, timer: clock });
      await fn({ server, clock, open });
    }));
}

Deno.test("without --unstable-kv the error is unstable_kv_required and names the flag", async () => {
  using _ = replace(Deno, "openKv", undefined!);
  const words = ["Cannot open Deno KV", "--unstable-kv", `"unstable": ["kv"]`];
  await rejectsWith("unstable_kv_required", () => new KvCredentialsBackend().get(KEY), ...words);
});

test("it is asked with the token, once while answers are fresh", async ({ server, clock, open }) => {
  const store = await open();
  await store.put(KEY, entry());
  assertEquals([await store.get(KEY), server.asked], [entry(), [`Bearer ${ACCESS_TOKEN}`]]);
  clock.advance(1001);
  for (let times = 0; times < 2; times++) await store.get(KEY);
  assertEquals(server.asked.length, 2);
  server.before = () => Promise.reject(new TypeError("Connection refused"));
  await rejectsWith("backend_unavailable", () => store.get(KEY), "kv.example.com: TypeError");
  server.before = () => {};
  await store.get(KEY); // is asked again after a failure
  assertEquals(server.asked.length, 3);
});

type Answer = (request: Request) => Response | Promise<Response>;
const status = (status: number): Answer => () =>
  new Response(`no ${ACCESS_TOKEN}`, { status, headers: { location: `/${ACCESS_TOKEN}` } });

const REFUSALS: [what: string, answer: Answer, code: CredentialsBackendErrorCode, why: string][] = [
  ["refuses the token", status(401), "backend_auth_failed", "is refused"],
  ["forbids what it wants", status(403), "backend_denied", "does not allow it"],
  ["fails", status(503), "backend_unavailable", "status 503"],
  [
    "is not there",
    () => Promise.reject(new TypeError("refused")),
    "backend_unavailable",
    "TypeError",
  ],
];

for (const [what, answer, code, why] of REFUSALS) {
  test(`one that ${what} is ${code}`, async ({ server, clock, open }) => {
    server.answer = answer;
    const error = await rejectsWith(code, () => open(), "Deno KV at kv.example.com", why);
    assertNoSecret(error, [ACCESS_TOKEN]);
    const passes = code === "backend_unavailable";
    assertEquals(clock.delays, passes ? [50, 100, 200, 400, 800] : []); // about as long as a restart
  });
}

test("a token that cannot be one is backend_auth_failed, and is not sent", async ({ server, open }) => {
  for (const token of ["", "two words"]) {
    Deno.env.set("DENO_KV_ACCESS_TOKEN", token);
    await rejectsWith("backend_auth_failed", () => open(), "is not set, or is not a token");
    assertEquals(server.asked, []);
  }
});

test("what is no KV server is an error, by Deno's words for it", async ({ open }) => {
  const fault = new TypeError(`Could not open Deno KV database: ${ACCESS_TOKEN}`);
  using _ = replace(Deno, "openKv", () => Promise.reject(fault));
  const error = await rejectsWith("backend_unavailable", () => open(), "no KV Connect server");
  assertNoSecret(error, [ACCESS_TOKEN]);
});

test("one that answers too late is backend_timeout, from the start and later", async (world) => {
  const { server, clock, open } = world;
  const timeoutMs = 300; // the good answer before comes within it
  const store = await open(timeoutMs);
  const words = ["kv.example.com", "no answer within the time limit (timeoutMs)"];
  server.before = () => new Promise(() => {});
  await rejectsWith("backend_timeout", () => store.get(KEY), ...words);
  server.before = () => {};
  server.answer = ({ signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  clock.advance(2000);
  await rejectsWith("backend_timeout", () => store.get(KEY), ...words);
  await rejectsWith("backend_timeout", () => open(timeoutMs), ...words);
});

test("one that is back in time is no error for who used it before", async (world) => {
  const { server, clock, open } = world;
  const store = await open();
  await store.put(KEY, entry());
  const good = server.answer;
  server.answer = status(500);
  clock.advance(2000);
  clock.onDelay = (count) => {
    if (count === 6) server.answer = good; // later than a new process would wait
  };
  assertEquals(await store.get(KEY), entry());
  assertEquals(clock.delays, [50, 100, 200, 400, 800, 1000]);
});

test("a write is decided anew where another came in between", async ({ server, open }) => {
  const [store, other] = [await open(), await open()];
  for (const theirs of [entry({ access_token: "theirs" }), undefined]) {
    await other.put(KEY, entry());
    let isMet = false;
    server.before = async (operation) => {
      if (operation !== "commit" || isMet) return;
      isMet = true;
      if (theirs === undefined) await other.delete(KEY);
      else await other.put(KEY, theirs);
    };
    await store.put(KEY, NEXT, { isReplaced });
    assertEquals([isMet, await store.get(KEY)], [true, theirs]);
    server.before = () => {};
  }
});

test("a write after the lease was taken over fails and changes nothing", async ({ server, open }) => {
  const [one, other] = [await open(), await open()];
  await one.put(KEY, entry());
  for (const write of [() => one.put(KEY, entry()), () => one.delete(KEY)]) {
    await one.withLock(KEY, async () => {
      await server.database.set(server.lease(KEY), { holder: "somebody else" });
      await other.put(KEY, NEXT);
      await rejectsWith("backend_locked", write, server.url, "the lock was lost");
      await one.put(OTHER, entry()); // whose lock is not concerned
    }, {});
    assertEquals([await one.get(KEY), await server.holder(KEY)], [NEXT, "somebody else"]);
    await server.database.delete(server.lease(KEY));
    await one.put(KEY, entry()); // outside a lock there is nothing to lose
  }
});

test("a lease is renewed while its holder runs, and the writes of the holder go on", async (world) => {
  using intervals = new ManualIntervals();
  const { server, open } = world;
  const [one, other] = [await open(), await open()];
  await one.withLock(KEY, async () => {
    const first = await server.database.get(server.lease(KEY));
    intervals.tick();
    await one.put(KEY, entry());
    let second = first;
    while (second.versionstamp === first.versionstamp) {
      await settled();
      second = await server.database.get(server.lease(KEY));
    }
    assertEquals(second.value, first.value);
    await one.put(KEY, NEXT);
    await rejectsWith("backend_locked", () => other.withLock(KEY, nothing, {}), "1000 ms");
    await other.withLock(OTHER, nothing, {});
  }, {});
  assertEquals([await one.get(KEY), await server.holder(KEY)], [NEXT, undefined]);
  assertEquals(await other.withLock(KEY, () => Promise.resolve("free"), {}), "free");
});
