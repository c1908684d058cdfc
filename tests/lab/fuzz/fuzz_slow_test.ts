/** A short form of `deno task fuzz`, with the same inputs each time. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import * as fc from "fast-check";
import { SECRETS } from "../../support/entries.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { attempt, target } from "./fuzz_target.ts";
import { runTarget } from "./run_target.ts";
import { TARGETS } from "./targets.ts";

for (const one of TARGETS) {
  Deno.test(`fuzz: ${one.name}`, async () => {
    const { runs, failure } = await runTarget(one, 20261126, 80);
    assertEquals(failure, undefined);
    assertEquals(runs, 80);
  });
}

const anyText = fc.string({ minLength: 1 });

Deno.test("fuzz: a rule that does not hold is told with the smallest input and the seed", async () => {
  const broken = target("broken", fc.string(), (text) => assert(text.length < 5, "too long"));
  const { failure } = await runTarget(broken, 7, 500);
  assertEquals([failure?.reason, failure?.seed, JSON.parse(failure!.input).length], [
    "too long",
    7,
    5,
  ]);
});

Deno.test("fuzz: a report shows no secret", async () => {
  const text = anyText.map((text) => text + SECRETS.access);
  const leaking = target("leaking", text, (text) => assert(false, `it was ${text}`));
  const { failure } = await runTarget(leaking, 7, 5);
  assertNoSecret(failure);
  assertStringIncludes(failure!.reason, "[removed]");
});

Deno.test("fuzz: an error without a code, or with a secret in it, is a fault", async () => {
  const thrown = [new TypeError("x"), "text", undefined, null];
  for (const error of thrown) {
    const throwing = target("throwing", anyText, () => attempt(() => Promise.reject(error)));
    const { failure } = await runTarget(throwing, 7, 5);
    assertStringIncludes(failure!.reason, "an error without a code");
  }
});

Deno.test("fuzz: an input that takes too long is a fault", async () => {
  const slow = target("slow", fc.constant(""), () => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1100);
  });
  const { failure } = await runTarget(slow, 7, 1);
  assertStringIncludes(failure!.reason, "it takes 11");
});
