/** A short form of `deno task fuzz`, with the same inputs each time. */
import { assertEquals } from "@std/assert";
import { runTarget } from "./run_target.ts";
import { TARGETS } from "./targets.ts";

for (const one of TARGETS) {
  Deno.test(`fuzz: ${one.name}`, async () => {
    assertEquals(await runTarget(one, 20261126, 80_000, 80), { runs: 80 });
  });
}
