import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { Queue } from "../../../backends/common/queue.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

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
