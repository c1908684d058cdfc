import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { delay, untilAborted } from "../../../backends/common/promises.ts";

Deno.test("delay waits its time", async () => {
  const start = performance.now();
  await delay(15);
  assert(performance.now() - start >= 14);
});

Deno.test("delay ends with the signal's reason, before or during its time, and leaves no timer", {
  sanitizeOps: true,
}, async () => {
  const reason = new Error("enough");
  const before = await assertRejects(() => delay(60_000, AbortSignal.abort(reason)));
  assertStrictEquals(before, reason);
  const abort = new AbortController();
  const waiting = delay(60_000, abort.signal);
  abort.abort(reason);
  assertStrictEquals(await assertRejects(() => waiting), reason);
});

Deno.test("delay of more than a timer can wait does not end at once", async () => {
  const reason = new Error("enough");
  for (const ms of [2 ** 31, 1e12, Infinity]) {
    const abort = new AbortController();
    const waiting = delay(ms, abort.signal);
    await delay(5); // a timer that overflows is set to 1 ms
    abort.abort(reason);
    assertStrictEquals(await assertRejects(() => waiting), reason);
  }
});

const reason = new Error("enough");

Deno.test("untilAborted gives the value, or passes the error on, with and without a signal", async () => {
  const { signal } = new AbortController();
  for (const given of [undefined, signal]) {
    assertEquals(await untilAborted(Promise.resolve(7), given), 7);
    const fault = new Error("its own");
    const thrown = await assertRejects(() => untilAborted(Promise.reject(fault), given));
    assertStrictEquals(thrown, fault);
  }
});

Deno.test("untilAborted throws the signal's reason as soon as it aborts", async () => {
  const abort = new AbortController();
  const never = Promise.withResolvers<void>();
  const waiting = untilAborted(never.promise, abort.signal);
  abort.abort(reason);
  assertStrictEquals(await assertRejects(() => waiting), reason);
});

Deno.test("untilAborted does not wait for what has been aborted before", async () => {
  const wait = () => untilAborted(new Promise(() => {}), AbortSignal.abort(reason));
  assertStrictEquals(await assertRejects(wait), reason);
});

Deno.test("untilAborted leaves no listener behind", async () => {
  const { signal } = new AbortController();
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = ((...args: Parameters<typeof add>) => {
    listeners++;
    add(...args);
  }) as typeof signal.addEventListener;
  signal.removeEventListener = ((...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  }) as typeof signal.removeEventListener;
  await untilAborted(Promise.resolve(), signal);
  await assertRejects(() => untilAborted(Promise.reject(reason), signal));
  assertEquals(listeners, 0);
});

Deno.test("what fails after the abort is not an unhandled rejection", async () => {
  const abort = new AbortController();
  const late = Promise.withResolvers<void>();
  const waiting = untilAborted(late.promise, abort.signal);
  abort.abort(reason);
  await assertRejects(() => waiting);
  late.reject(new Error("late"));
  await new Promise((resolve) => setTimeout(resolve));
});
