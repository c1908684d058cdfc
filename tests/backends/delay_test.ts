import { assert, assertRejects, assertStrictEquals } from "@std/assert";
import { delay } from "../../backends/delay.ts";

Deno.test("delay waits its time", async () => {
  const start = performance.now();
  await delay(15);
  assert(performance.now() - start >= 14);
});

Deno.test({
  name: "delay ends with the signal's reason, before or during its time, and leaves no timer",
  sanitizeOps: true,
  async fn() {
    const reason = new Error("enough");
    const before = await assertRejects(() => delay(60_000, AbortSignal.abort(reason)));
    assertStrictEquals(before, reason);
    const abort = new AbortController();
    const waiting = delay(60_000, abort.signal);
    abort.abort(reason);
    assertStrictEquals(await assertRejects(() => waiting), reason);
  },
});

Deno.test("delay with a signal that does not abort waits its time", async () => {
  await delay(1, new AbortController().signal);
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
