import { assertEquals, assertRejects } from "@std/assert";
import { repeat } from "../../../backends/common/repeat.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const over = (spent: string) => new Error(spent);

Deno.test("repeat gives the first value, also a false one, and pauses between the tries", async () => {
  const timer = new FakeClock(0);
  const answers = [undefined, undefined, false];
  const limits = { tries: 9, withinMs: Infinity, pauseMs: 10, longestPauseMs: 15, timer, over };
  assertEquals(await repeat(limits, () => answers.shift()), false);
  const [first = 0, second = 0, ...more] = timer.delays;
  assertEquals(more, []);
  assertEquals([first >= 5, first < 15, second >= 7.5, second < 22.5], [true, true, true, true]);
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
    const limits = { withinMs: 100, pauseMs: 30, longestPauseMs: 60, timer, over };
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
