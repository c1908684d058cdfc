import { assertEquals } from "@std/assert";
import { basename } from "@std/path/basename";
import { dirname } from "@std/path/dirname";
import { credentialsPath } from "../../backends/file.ts";
import { folderOf, nameOf } from "../../backends/common/platform.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { withEnv } from "../support/own_env.ts";

const isWindows = Deno.build.os === "windows";
const HOME = isWindows ? "USERPROFILE" : "HOME";

Deno.test("credentialsPath is the file of the Python library in the home folder", {
  ignore: isWindows,
}, async () => {
  for (const home of ["/home/ana", "/home/ana/", "/home/ana//"]) {
    const path = await withEnv({ [HOME]: home }, credentialsPath);
    assertEquals(path, "/home/ana/.validmind/credentials.json");
  }
});

Deno.test(
  "credentialsPath uses the user's profile on Windows",
  { ignore: !isWindows },
  async () => {
    const path = await withEnv({ [HOME]: "C:\\Users\\ana" }, credentialsPath);
    assertEquals(path, "C:\\Users\\ana\\.validmind\\credentials.json");
  },
);

Deno.test("credentialsPath needs one variable and touches no file", {
  permissions: { env: [HOME] },
}, () => assertEquals(credentialsPath().replaceAll("\\", "/").endsWith("/credentials.json"), true));

Deno.test("credentialsPath without a home folder is home_unset and says what to do", async () => {
  for (const home of ["", undefined]) {
    await withEnv({}, async () => {
      if (home === undefined) Deno.env.delete(HOME);
      else Deno.env.set(HOME, home);
      await rejectsWith("home_unset", credentialsPath, HOME, '"path"');
    });
  }
});

Deno.test(
  "credentialsPath that may not read the variable is permission_required",
  { permissions: "none" },
  async () => void await rejectsWith("permission_required", credentialsPath, `--allow-env=${HOME}`),
);

const POSIX = ["a.json", "a/b.json", "../b.json", "/b.json", "/a/b.json", "/a b,c/d.json", "a//b"];
const WINDOWS = ["a.json", "a\\b.json", "C:\\b.json", "C:\\a/b.json", "..\\b", "a\\b c\\d"];

Deno.test("folderOf and nameOf keep a path relative, know the root, and agree with @std/path", {
  permissions: "none",
}, () => {
  const paths = Deno.build.os === "windows" ? WINDOWS : POSIX;
  assertEquals(paths.map(folderOf), paths.map((path) => dirname(path)));
  assertEquals(paths.map(nameOf), paths.map((path) => basename(path)));
});
