import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { policyOf, readPolicy } from "../../../../client/cli/jupyter/policy.ts";
import { UsageError } from "../../../../client/cli/usage_error.ts";
import { OwnEnv } from "../../../support/own_env.ts";
import { tempDir } from "../../../support/temp_home.ts";

const ignore = Deno.build.os === "windows";

function refused(path: string, ...words: string[]): void {
  const { message } = assertThrows(() => readPolicy(path, "--policy"), UsageError);
  for (const word of words) assertStringIncludes(message, word);
}

Deno.test("policy: a permission set, with variables in its texts", async () => {
  await using folder = await tempDir();
  using _ = new OwnEnv({ DATA: "/srv/data" });
  const path = `${folder.path}/policy.json`;
  const text = '{"read": ["${DATA}/in", "."], "net": ["a.example:443"], "run": false, "env": true}';
  await Deno.writeTextFile(path, text, { mode: 0o600 });
  assertEquals(readPolicy(path, "--policy"), {
    read: ["/srv/data/in", "."],
    net: ["a.example:443"],
    run: false,
    env: true,
  });
});

const WRONG: [text: string, word: string][] = [
  ["", "not one JSON object"],
  ["[]", "not one JSON object"],
  ['{"reed": []}', '"reed" is no permission'],
  ['{"deny": {"read": true}}', '"deny" is no permission'],
  ['{"read": "/srv"}', '"read" is neither true or false nor a list'],
  ['{"read": [1]}', '"read" is neither'],
  ['{"read": [""]}', '"read" is neither'],
  ['{"read": null}', '"read" is neither'],
  ['{"run": ["git"]}', '"run" is true or false'],
  ['{"read": ["${NOT_SET_HERE}/x"]}', "${NOT_SET_HERE}, which is not set"],
];

for (const [text, word] of WRONG) {
  const what = text || "an empty file";
  Deno.test(`policy: ${what} is refused, never half read`, async () => {
    await using folder = await tempDir();
    const path = `${folder.path}/policy.json`;
    await Deno.writeTextFile(path, text, { mode: 0o600 });
    refused(path, "Cannot use ", path, word);
  });
}

Deno.test({
  name: "policy: a file that somebody else can change or replace is refused, and so is a link",
  ignore,
  fn: async () => {
    await using folder = await tempDir();
    const path = `${folder.path}/policy.json`;
    await Deno.writeTextFile(path, "{}", { mode: 0o600 });
    assertEquals(readPolicy(path, "--policy"), {});
    for (const mode of [0o620, 0o602, 0o666]) {
      await Deno.chmod(path, mode);
      refused(path, "others can write it", `chmod go-w ${path}`);
    }
    await Deno.chmod(path, 0o644);
    const open = `${folder.path}/open`;
    await Deno.mkdir(open);
    await Deno.chmod(open, 0o777);
    await Deno.copyFile(path, `${open}/policy.json`);
    refused(`${open}/policy.json`, "others can write it", open);
    // A link in a folder that others can write leads wherever they like.
    await Deno.symlink(path, `${open}/link.json`);
    refused(`${open}/link.json`, "others can write it", open);
    await Deno.symlink(`${open}/policy.json`, `${folder.path}/link.json`);
    refused(`${folder.path}/link.json`, "others can write it", open);
    await Deno.symlink(path, `${folder.path}/own.json`);
    assertEquals(readPolicy(`${folder.path}/own.json`, "--policy"), {});
    refused(`${folder.path}/none.json`, "it is not there");
    refused(folder.path, "");
    await Deno.writeTextFile(path, `{"read": ["${"x".repeat(70_000)}"]}`);
    refused(path, "larger than any policy");
  },
});

Deno.test({
  name: "policy: another user's file and folder are refused",
  ignore: ignore || Deno.uid() !== 0,
  fn: async () => {
    await using folder = await tempDir();
    const path = `${folder.path}/policy.json`;
    await Deno.writeTextFile(path, "{}", { mode: 0o600 });
    await Deno.chown(path, 65534, 65534);
    refused(path, "belongs to another user (uid 65534)");
    await Deno.chown(path, 0, 0);
    await Deno.mkdir(`${folder.path}/theirs`);
    await Deno.copyFile(path, `${folder.path}/theirs/policy.json`);
    await Deno.chown(`${folder.path}/theirs`, 65534, 65534);
    refused(`${folder.path}/theirs/policy.json`, "belongs to another user");
    await Deno.symlink(path, `${folder.path}/link.json`);
    const { success } = await new Deno.Command("chown", {
      args: ["-h", "65534", `${folder.path}/link.json`],
    }).output();
    assertEquals(success, true);
    refused(`${folder.path}/link.json`, "belongs to another user");
  },
});

Deno.test("policy: of needs has what they name, and no program", () => {
  const why = { reason: "r", need: "always" } as const;
  assertEquals(
    policyOf([
      { name: "env", variable: "HOME", ...why },
      { name: "read", path: "/a", ...why },
      { name: "read", path: "/b", ...why },
      { name: "net", host: "a.example:443", ...why },
      { name: "run", command: "xdg-open", ...why },
    ]),
    { env: ["HOME"], read: ["/a", "/b"], net: ["a.example:443"] },
  );
});
