import { assertEquals } from "@std/assert";
import { runDeno } from "../deno_process.ts";
import { tempDir } from "../temp_home.ts";

const FILE = `${import.meta.dirname}/run_on_oldest.ts`;

Deno.test("a run with the oldest Deno is left out where that is missing, and fails in CI", async () => {
  await using cache = await tempDir();
  for (const [more, expected] of [[{}, 77], [{ CI: "true" }, 1]] as const) {
    const env = { XDG_CACHE_HOME: cache.path, HOME: cache.path, ...more };
    const { code, stdout, stderr } = await runDeno({ file: FILE, flags: ["-A"], env });
    assertEquals([code, stderr], [expected, ""]);
    assertEquals(stdout, "Left out: there is no old Deno. Run: deno task servers old-deno\n");
  }
});
