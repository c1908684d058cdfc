import { assert, assertEquals } from "@std/assert";
import { BUILT_IN_BACKENDS, BUILT_IN_NAMES } from "../../../backends/load/backend_setting.ts";

Deno.test("each built-in name leads to a class of a backend, and has a summary", async () => {
  for (const name of BUILT_IN_NAMES) {
    const { load, summary } = BUILT_IN_BACKENDS[name];
    const { prototype } = await load();
    for (const method of ["get", "put", "delete"] as const) {
      assert(typeof prototype[method] === "function", `${name}.${method}`);
    }
    assert(summary.length > 10 && !summary.endsWith("."), name);
  }
  assertEquals(BUILT_IN_NAMES.toSorted(), Object.keys(BUILT_IN_BACKENDS).toSorted());
});
