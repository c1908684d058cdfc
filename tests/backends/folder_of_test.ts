import { assertEquals } from "@std/assert";
import { dirname } from "@std/path/dirname";
import { folderOf } from "../../backends/folder_of.ts";

const POSIX = ["a.json", "a/b.json", "../b.json", "/b.json", "/a/b.json", "/a b,c/d.json", "a//b"];
const WINDOWS = ["a.json", "a\\b.json", "C:\\b.json", "C:\\a/b.json", "..\\b", "a\\b c\\d"];

Deno.test({
  name: "folderOf keeps a path relative, knows the root, and agrees with @std/path",
  permissions: "none",
  fn() {
    const paths = Deno.build.os === "windows" ? WINDOWS : POSIX;
    assertEquals(paths.map(folderOf), paths.map((path) => dirname(path)));
  },
});
