import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { Once, Queue } from "../../../backends/common/promises.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

Deno.test("a value is made once, also for calls at the same time", async () => {
  const once = new Once<number>();
  let made = 0;
  const make = () => Promise.resolve(++made);
  assertEquals(once.kept, undefined);
  assertEquals(await Promise.all([once.get(make), once.get(make)]), [1, 1]);
  assertEquals(await once.get(make), 1);
  assertEquals(await once.kept, 1);
});

Deno.test("a failure is not kept, whether it comes at once or later", async () => {
  const once = new Once<string>();
  const fault = new Error("not yet");
  const thrown = await assertRejects(() =>
    once.get(() => {
      throw fault;
    })
  );
  assertStrictEquals(thrown, fault);
  assertStrictEquals(await assertRejects(() => once.get(() => Promise.reject(fault))), fault);
  assertEquals(once.kept, undefined);
  assertEquals(await once.get(() => Promise.resolve("now")), "now");
});

Deno.test("a failure of an earlier promise leaves a later one in place", async () => {
  const once = new Once<string>();
  const earlier = Promise.withResolvers<string>();
  const first = once.get(() => earlier.promise);
  assertStrictEquals(once.forget(), first);
  once.keep(Promise.resolve("later"));
  earlier.reject(new Error("too late"));
  await assertRejects(() => first);
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
  });
  const rest = [run("second"), run("third")];
  await queue.run("b", () => Promise.resolve(void seen.push("other")));
  gate.resolve();
  await Promise.all([first, ...rest]);
  assertEquals(seen, ["other", "first", "second", "third"]);
});

Deno.test("a run that fails passes its error on and lets the next one run", async () => {
  const queue = new Queue();
  const fault = new Error("own");
  const failing = queue.run("a", () => Promise.reject(fault));
  const next = queue.run("a", () => Promise.resolve("next"));
  assertStrictEquals(await assertRejects(() => failing), fault);
  assertEquals(await next, "next");
});

Deno.test("a wait ends by its signal or its time limit, and those behind keep their place", async () => {
  const queue = new Queue(5);
  const gate = Promise.withResolvers<void>();
  const first = queue.run("a", () => gate.promise);
  const abort = new AbortController();
  const reason = new Error("enough");
  const aborted = queue.run("a", () => Promise.resolve(), abort.signal);
  abort.abort(reason);
  assertStrictEquals(await assertRejects(() => aborted), reason);
  await rejectsWith("backend_locked", () => queue.run("a", () => Promise.resolve()), "within 5 ms");
  gate.resolve();
  await first;
  assertEquals(await queue.run("a", () => Promise.resolve("free")), "free");
});
