import { assert, assertEquals } from "@std/assert";
import { BUILT_IN_BACKENDS, BUILT_IN_NAMES } from "../../../backends/load/backend_setting.ts";

Deno.test("each built-in name leads to a class of a backend", async () => {
  for (const name of BUILT_IN_NAMES) {
    const { prototype } = await BUILT_IN_BACKENDS[name]();
    for (const method of ["get", "put", "delete"] as const) {
      assert(typeof prototype[method] === "function", `${name}.${method}`);
    }
  }
  assertEquals(BUILT_IN_NAMES.toSorted(), Object.keys(BUILT_IN_BACKENDS).toSorted());
});
