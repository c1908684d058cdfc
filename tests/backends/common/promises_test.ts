import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { delay, Once, Queue, untilAborted } from "../../../backends/common/promises.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { replace } from "../../support/replace.ts";

const reason = new Error("enough");
const fault = new Error("its own");
const throws = async (run: () => Promise<unknown>, error: Error) =>
  assertStrictEquals(await assertRejects(run), error);

Deno.test("a value is made once, also for calls at the same time", async () => {
  const once = new Once<number>();
  let made = 0;
  const make = () => Promise.resolve(++made);
  assertEquals(once.kept, undefined);
  assertEquals(await Promise.all([once.get(make), once.get(make), once.get(make)]), [1, 1, 1]);
  assertEquals([await once.forget(), once.kept, await once.get(make)], [1, undefined, 2]);
});

Deno.test("a failure is not kept, whether it comes at once or later, and leaves a later one", async () => {
  const once = new Once<string>();
  const fail = () => {
    throw fault;
  };
  await throws(() => once.get(fail), fault);
  await throws(() => once.get(() => Promise.reject(fault)), fault);
  assertEquals(once.kept, undefined);
  const earlier = Promise.withResolvers<string>();
  const first = once.get(() => earlier.promise);
  assertStrictEquals(once.forget(), first);
  once.keep(Promise.resolve("later"));
  earlier.reject(fault);
  await throws(() => first, fault);
  assertEquals(await once.get(() => Promise.resolve("another")), "later");
});

Deno.test("runs of one key follow each other in the order of the calls; another key is free", async () => {
  const queue = new Queue();
  const gate = Promise.withResolvers<void>();
  const seen: string[] = [];
  const run = (name: string) => queue.run("a", () => Promise.resolve(void seen.push(name)));
  const first = queue.run("a", async () => {
    await gate.promise;
    seen.push("first");
    throw fault;
  });
  const rest = [run("second"), run("third")];
  await queue.run("b", () => Promise.resolve(void seen.push("other")));
  gate.resolve();
  await throws(() => first, fault);
  await Promise.all(rest);
  assertEquals(seen, ["other", "first", "second", "third"]);
});

Deno.test("a turn that does not come in time is backend_locked, and the queue is free afterwards", async () => {
  // In Node it keeps no process alive, and may never come.
  using _ = replace(AbortSignal, "timeout", () => new AbortController().signal);
  const queue = new Queue(5);
  const run = () => queue.run("k", () => Promise.resolve("run"));
  await queue.run("k", async () => {
    for (const _ of [1, 2]) await rejectsWith("backend_locked", run, "within 5 ms");
  });
  assertEquals(await run(), "run");
});

Deno.test("delay waits its time, also a long one, and ends with the signal's reason", async () => {
  const start = performance.now();
  await delay(15);
  assert(performance.now() - start >= 14);
  await throws(() => delay(60_000, AbortSignal.abort(reason)), reason);
  for (const ms of [60_000, 2 ** 31, Infinity]) {
    const abort = new AbortController();
    const waiting = delay(ms, abort.signal);
    await delay(5); // a timer that overflows is set to 1 ms
    abort.abort(reason);
    await throws(() => waiting, reason);
  }
});

Deno.test("untilAborted gives the value or the error, and leaves no listener behind", async () => {
  const { signal } = new AbortController();
  let listeners = 0;
  for (const [name, change] of [["addEventListener", 1], ["removeEventListener", -1]] as const) {
    const original = signal[name].bind(signal) as (...args: unknown[]) => void;
    signal[name] = (...args: unknown[]) => {
      listeners += change;
      original(...args);
    };
  }
  for (const given of [undefined, signal]) {
    assertEquals(await untilAborted(Promise.resolve(7), given), 7);
    await throws(() => untilAborted(Promise.reject(fault), given), fault);
  }
  assertEquals(listeners, 0);
});

Deno.test("untilAborted throws the signal's reason as soon as it aborts, or had", async () => {
  const never = new Promise(() => {});
  await throws(() => untilAborted(never, AbortSignal.abort(reason)), reason);
  const abort = new AbortController();
  const late = Promise.withResolvers<void>();
  const waiting = untilAborted(late.promise, abort.signal);
  abort.abort(reason);
  await throws(() => waiting, reason);
  late.reject(fault); // is no unhandled rejection
  await delay(1);
});
