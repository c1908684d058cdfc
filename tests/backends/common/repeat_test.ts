import { assertEquals, assertRejects } from "@std/assert";
import { repeat } from "../../../backends/common/repeat.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const over = (spent: string) => new Error(spent);

Deno.test("repeat gives the first value, also a false one, and pauses between the tries", async () => {
  const timer = new FakeClock(0);
  const answers = [undefined, undefined, false];
  const limits = { tries: 29, timer, over };
  assertEquals(await repeat(limits, () => answers.shift()), false);
  assertEquals(timer.delays.length, 2);
  await assertRejects(() => repeat(limits, () => undefined), Error, "after 29 tries");
  for (const [index, ms] of timer.delays.slice(2).entries()) {
    const about = 5 * Math.min(index + 1, 20);
    assertEquals([ms >= about / 2, ms < about * 1.5], [true, true], `${ms} ms`);
  }
});

Deno.test("repeat ends after its tries, and says how many there were", async () => {
  let tried = 0;
  const limits = { tries: 3, withinMs: Infinity, pauseMs: 0, timer: new FakeClock(0), over };
  const attempt = () => void tried++;
  const { message } = await assertRejects(() => repeat(limits, attempt), Error);
  assertEquals([tried, message], [3, "after 3 tries in 0 ms"]);
});

Deno.test("repeat begins no try after its time, whatever tries are left", async () => {
  for (let run = 0; run < 20; run++) {
    const timer = new FakeClock(0);
    const begun: number[] = [];
    const limits = { withinMs: 100, pauseMs: 30, timer, over };
    const attempt = () => void begun.push(timer.now());
    await assertRejects(() => repeat(limits, attempt), Error, "tries in");
    assertEquals([begun.length > 1, begun.at(-1)], [true, 100]);
  }
});

Deno.test("an attempt's own error ends the tries", async () => {
  let tried = 0;
  const limits = { tries: 3, withinMs: Infinity, pauseMs: 0, timer: new FakeClock(0), over };
  const attempt = () => {
    tried++;
    throw new TypeError("mine");
  };
  await assertRejects(() => repeat(limits, attempt), TypeError, "mine");
  assertEquals(tried, 1);
});

Deno.test("a signal ends the pause of repeat", async () => {
  const stop = new AbortController();
  const limits = { tries: 3, withinMs: Infinity, pauseMs: 60_000, signal: stop.signal, over };
  const attempt = () => void queueMicrotask(() => stop.abort(new Error("stopped")));
  await assertRejects(() => repeat(limits, attempt), Error, "stopped");
});
