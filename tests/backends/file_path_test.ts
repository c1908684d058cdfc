import { assertEquals } from "@std/assert";
import { credentialsPath } from "../../backends/file.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { withEnv } from "../support/own_env.ts";

const isWindows = Deno.build.os === "windows";
const HOME = isWindows ? "USERPROFILE" : "HOME";

Deno.test("credentialsPath is the file of the Python library in the home folder", {
  permissions: { env: [HOME] },
}, async () => {
  const [home, path] = isWindows
    ? ["C:\\Users\\ana", "C:\\Users\\ana\\.validmind\\credentials.json"]
    : ["/home/ana", "/home/ana/.validmind/credentials.json"];
  for (const end of ["", "/", "//"]) {
    assertEquals(await withEnv({ [HOME]: `${home}${end}` }, credentialsPath), path);
  }
});

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
