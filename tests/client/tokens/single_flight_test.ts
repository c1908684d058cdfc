import { assertEquals, assertRejects } from "@std/assert";
import { singleFlight } from "../../../client/tokens/store.ts";

Deno.test("singleFlight: callers of one owner and key join the run that is under way", async () => {
  const owner = {};
  const gate = Promise.withResolvers<number>();
  let runs = 0;
  const run = () => {
    runs++;
    return gate.promise;
  };
  const calls = [singleFlight(owner, "a", run), singleFlight(owner, "a", run)];
  const other = [singleFlight(owner, "b", run), singleFlight({}, "a", run)];
  assertEquals(runs, 3);
  gate.resolve(7);
  assertEquals(await Promise.all([...calls, ...other]), [7, 7, 7, 7]);
});

Deno.test("singleFlight: the next caller runs anew, also after a failure", async () => {
  const owner = {};
  let runs = 0;
  const failing = () => Promise.reject(new Error(`run ${++runs}`));
  await assertRejects(() => singleFlight(owner, "a", failing), Error, "run 1");
  await assertRejects(() => singleFlight(owner, "a", failing), Error, "run 2");
});

/** A run that ends when it is told to, or by its signal. */
function gatedRun() {
  const gate = Promise.withResolvers<number>();
  const signals: AbortSignal[] = [];
  const run = (signal: AbortSignal) => {
    signals.push(signal);
    signal.addEventListener("abort", () => gate.reject(signal.reason));
    return gate.promise;
  };
  return { gate, signals, run };
}

Deno.test("singleFlight: a signal ends one wait; the run goes on for the others", async () => {
  const owner = {};
  const { gate, signals, run } = gatedRun();
  const controller = new AbortController();
  const impatient = singleFlight(owner, "a", run, controller.signal); // who began it
  const patient = singleFlight(owner, "a", run);
  controller.abort("enough");
  assertEquals(await impatient.catch((reason) => reason), "enough");
  gate.resolve(7);
  assertEquals([await patient, signals.length, signals[0]?.aborted], [7, 1, false]);
});

Deno.test("singleFlight: when all have left the run is told, and nobody joins it", async () => {
  const owner = {};
  const { signals, run } = gatedRun();
  const controllers = [new AbortController(), new AbortController()];
  const calls = controllers.map(({ signal }) => singleFlight(owner, "a", run, signal));
  const reasons = calls.map((call) => call.catch((reason) => reason));
  for (const [index, controller] of controllers.entries()) controller.abort(index);
  assertEquals(await Promise.all(reasons), [0, 1]);
  assertEquals([signals[0]?.aborted, signals[0]?.reason], [true, 1]);
  assertEquals(await singleFlight(owner, "a", () => Promise.resolve(8)), 8);
});

Deno.test("singleFlight: a signal that has aborted begins nothing and joins nothing", async () => {
  const owner = {};
  const { gate, signals, run } = gatedRun();
  const signal = AbortSignal.abort("enough");
  const call = () => singleFlight(owner, "a", run, signal).catch((reason) => reason);
  assertEquals([await call(), signals.length], ["enough", 0]);
  const other = singleFlight(owner, "a", run);
  assertEquals([await call(), signals.length], ["enough", 1]);
  gate.resolve(7);
  assertEquals(await other, 7);
});
