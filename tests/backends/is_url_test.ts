import { assertEquals } from "@std/assert";
import { isUrl } from "../../backends/is_url.ts";

Deno.test({
  name: "isUrl takes http: and https:, and no path",
  permissions: "none",
  fn() {
    const paths = ["http://a", "https://a/b", ":memory:", "/https:/a", "httpd", "C:\\kv.db"];
    assertEquals(paths.map(isUrl), [true, true, false, false, false, false]);
  },
});
