import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { Once } from "../../../backends/common/once.ts";

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
