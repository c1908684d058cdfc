import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { untilAborted } from "../../backends/until_aborted.ts";

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
