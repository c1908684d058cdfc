import { assertStringIncludes, assertThrows } from "@std/assert";
import { ValidMindAuthError } from "../../../client/errors.ts";
import { readSecretFile } from "../../../client/options/secret_file.ts";
import { tempDir } from "../../support/temp_home.ts";

Deno.test({
  name: "client file: the flag for a path with blanks and brackets is one argument of a shell",
  ignore: Deno.build.os === "windows",
  permissions: { read: false },
  fn() {
    const path = "/a job/key [1].pem";
    const { message } = assertThrows(
      () => readSecretFile("clientKeyFile", path),
      ValidMindAuthError,
    );
    assertStringIncludes(message, "Run with: '--allow-read=/a job/key [1].pem'");
  },
});

Deno.test("client file: the command that closes it works for any path", {
  ignore: Deno.build.os === "windows",
}, async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/a job's key`;
  await Deno.writeTextFile(path, "text");
  await Deno.chmod(path, 0o666);
  const read = () => readSecretFile("clientKeyFile", path);
  const { message } = assertThrows(read, ValidMindAuthError);
  const [, command] = /Close it: (chmod .*)$/.exec(message)!;
  await new Deno.Command("sh", { args: ["-c", command!] }).output();
  read();
});
