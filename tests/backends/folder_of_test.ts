import { assertEquals } from "@std/assert";
import { folderOf } from "../../backends/folder_of.ts";

Deno.test({
  name: "folderOf keeps a path relative, and knows the root",
  permissions: "none",
  ignore: Deno.build.os === "windows",
  fn() {
    const paths = ["a.json", "a/b.json", "../b.json", "/b.json", "/a/b.json", "/a b,c/d.json"];
    assertEquals(paths.map(folderOf), [".", "a", "..", "/", "/a", "/a b,c"]);
  },
});
