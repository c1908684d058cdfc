import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  assertOwnLog,
  openOwnLog,
  readTrustedFile,
} from "../../../../client/cli/jupyter/trusted_file.ts";
import { UsageError } from "../../../../client/cli/usage_error.ts";
import { tempDir } from "../../../support/temp_home.ts";

const ignore = Deno.build.os === "windows";
const PLACE = "--audit";

/** The log is refused at the installation and at the start, and stays as it was. */
function refused(path: string, ...words: string[]): void {
  for (const use of [assertOwnLog, openOwnLog]) {
    const { message } = assertThrows(() => use(path, PLACE), UsageError);
    for (const word of ["of --audit: ", "only you may be able to read", ...words]) {
      assertStringIncludes(message, word);
    }
  }
}

Deno.test({
  name: "log: a new one is open to its user alone, and one that is there is written at its end",
  ignore,
  fn: async () => {
    await using folder = await tempDir();
    const path = `${folder.path}/audit.jsonl`;
    assertOwnLog(path, PLACE);
    assertEquals([...Deno.readDirSync(folder.path)], [], "a check makes no file");
    for (const text of ["one\n", "two\n"]) {
      using file = openOwnLog(path, PLACE);
      file.writeSync(new TextEncoder().encode(text));
    }
    assertEquals(await Deno.readTextFile(path), "one\ntwo\n");
    assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
  },
});

Deno.test({
  name: "log: one that is open to others, a link, and what is no regular file are refused",
  ignore,
  fn: async () => {
    await using folder = await tempDir();
    const path = `${folder.path}/audit.jsonl`;
    await Deno.writeTextFile(path, "kept");
    for (const mode of [0o644, 0o620, 0o606]) {
      await Deno.chmod(path, mode);
      refused(path, "it is open to others", `chmod 600 ${path}`);
      assertEquals(Deno.statSync(path).mode! & 0o777, mode);
    }
    await Deno.chmod(path, 0o600);
    await Deno.symlink(path, `${folder.path}/own`);
    refused(`${folder.path}/own`, "it is a symbolic link");
    await Deno.symlink(`${folder.path}/none`, `${folder.path}/dangling`);
    refused(`${folder.path}/dangling`, "it is a symbolic link");
    refused(folder.path, "it is no regular file");
    const made = await new Deno.Command("mkfifo", { args: [`${folder.path}/pipe`] }).output();
    assertEquals(made.success, true);
    refused(`${folder.path}/pipe`, "it is no regular file");
    refused(`${folder.path}/none/audit.jsonl`, "its folder is not there");
    assertEquals(await Deno.readTextFile(path), "kept");
    assertEquals(Deno.lstatSync(`${folder.path}/own`).isSymlink, true);
  },
});

Deno.test({
  name: "log and policy: a folder that others can write is refused, and a link in it to a folder",
  ignore,
  fn: async () => {
    await using folder = await tempDir();
    const open = `${folder.path}/open`;
    await Deno.mkdir(open);
    await Deno.mkdir(`${folder.path}/own`);
    await Deno.symlink(`${folder.path}/own`, `${open}/link`);
    await Deno.symlink(`${folder.path}/own`, `${folder.path}/link`);
    await Deno.chmod(open, 0o777);
    const policy = `${folder.path}/own/policy.json`;
    await Deno.writeTextFile(policy, "{}", { mode: 0o600 });
    refused(`${open}/audit.jsonl`, "others can write it", `chmod go-w ${open}`);
    refused(`${open}/link/audit.jsonl`, "others can write it", `chmod go-w ${open}`);
    assertOwnLog(`${folder.path}/link/audit.jsonl`, PLACE);
    const { message } = assertThrows(
      () => readTrustedFile(`${open}/link/policy.json`, "--policy"),
      UsageError,
    );
    assertStringIncludes(message, "others can write it");
    assertEquals(readTrustedFile(`${folder.path}/link/policy.json`, "--policy"), "{}");
  },
});

Deno.test({
  name: "log and policy: a link on the way that lies in a folder of others is refused",
  ignore,
  fn: async () => {
    await using folder = await tempDir();
    const [open, own] = [`${folder.path}/open`, `${folder.path}/own`];
    await Deno.mkdir(open);
    await Deno.mkdir(own);
    await Deno.chmod(open, 0o777);
    await Deno.writeTextFile(`${own}/policy.json`, "{}", { mode: 0o600 });
    // Its last target and its own folder are in order: others could replace the link between.
    await Deno.symlink(own, `${open}/folder`);
    await Deno.symlink("../open/folder", `${own}/folder`);
    await Deno.symlink("../own/policy.json", `${open}/file`);
    await Deno.symlink("../open/file", `${own}/file`);
    refused(`${own}/folder/audit.jsonl`, "others can write it");
    for (const path of [`${own}/file`, `${own}/folder/policy.json`]) {
      const { message } = assertThrows(() => readTrustedFile(path, "--policy"), UsageError);
      assertStringIncludes(message, "others can write it");
    }
    await Deno.chmod(open, 0o755);
    assertEquals(readTrustedFile(`${own}/file`, "--policy"), "{}");
    assertOwnLog(`${own}/folder/audit.jsonl`, PLACE);
    await Deno.symlink("loop", `${own}/loop`);
    assertThrows(() => readTrustedFile(`${own}/loop`, "--policy"), UsageError);
    refused(`${own}/loop/audit.jsonl`);
  },
});

Deno.test({
  name: "log: another user's file and folder are refused",
  ignore: ignore || Deno.uid() !== 0,
  fn: async () => {
    await using folder = await tempDir();
    const path = `${folder.path}/audit.jsonl`;
    await Deno.writeTextFile(path, "", { mode: 0o600 });
    await Deno.chown(path, 65534, 65534);
    refused(path, "it belongs to another user (uid 65534)");
    await Deno.mkdir(`${folder.path}/theirs`);
    await Deno.chown(`${folder.path}/theirs`, 65534, 65534);
    refused(`${folder.path}/theirs/audit.jsonl`, "it belongs to another user (uid 65534)");
  },
});
