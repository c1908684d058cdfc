import { readSecretFile } from "../../../client/options/secret_file.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { isPosix } from "../../support/sandbox.ts";
import { tempDir } from "../../support/temp_home.ts";

Deno.test("client file: the flag for a path with blanks and brackets is one argument of a shell", {
  ignore: !isPosix,
  permissions: { read: false },
}, async () => {
  const run = () => readSecretFile("clientKeyFile", "/a job/key [1].pem");
  await rejectsWith("permission_required", run, "Add: '--allow-read=/a job/key [1].pem'");
});

Deno.test("client file: the command that closes it works", { ignore: !isPosix }, async () => {
  await using dir = await tempDir();
  const path = `${dir.path}/a job's key`;
  await Deno.writeTextFile(path, "text");
  await Deno.chmod(path, 0o666);
  const read = () => readSecretFile("clientKeyFile", path);
  const { message } = await rejectsWith("client_auth_unusable", read);
  const [, command] = /Close it: (chmod .*)$/.exec(message)!;
  await new Deno.Command("sh", { args: ["-c", command!] }).output();
  read();
});
