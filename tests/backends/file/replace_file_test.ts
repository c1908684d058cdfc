import { assert, assertEquals, assertThrows } from "@std/assert";
import { makeFolder, replaceFile } from "../../../backends/file/replace_file.ts";
import { isPosix, modeOf, namesIn, sandbox } from "../../support/sandbox.ts";

const { folder, permissions } = sandbox();

Deno.test("replaceFile puts a new file in the old one's place: an open reader keeps the old", {
  permissions,
  ignore: !isPosix,
}, () => {
  const path = `${folder()}/a.json`;
  Deno.writeTextFileSync(path, "old", { mode: 0o644 });
  using reader = Deno.openSync(path);
  replaceFile(path, "the new text");
  const buffer = new Uint8Array(20);
  assertEquals(new TextDecoder().decode(buffer.subarray(0, reader.readSync(buffer) ?? 0)), "old");
  assertEquals(Deno.readTextFileSync(path), "the new text");
  assertEquals(modeOf(path), 0o600);
});

Deno.test("replaceFile has the content on the disk before it is renamed, and the folder after", {
  permissions,
  ignore: !isPosix,
}, () => {
  const parent = folder();
  const steps: string[] = [];
  const { renameSync } = Deno;
  const { prototype } = Deno.FsFile;
  const { syncSync } = prototype;
  prototype.syncSync = function () {
    steps.push(this.statSync().isDirectory ? "sync folder" : `sync ${this.statSync().size}`);
    syncSync.call(this);
  };
  Deno.renameSync = (from, to) => {
    steps.push("rename");
    renameSync(from, to);
  };
  try {
    replaceFile(`${parent}/a.json`, "the text");
  } finally {
    prototype.syncSync = syncSync;
    Deno.renameSync = renameSync;
  }
  assertEquals(steps, ["sync 8", "rename", "sync folder"]);
});

Deno.test("replaceFile takes away the temp file that a crash left, whatever its mode", {
  permissions,
}, () => {
  const parent = folder();
  Deno.writeTextFileSync(`${parent}/a.json.tmp`, "half a tok", { mode: 0o666 });
  replaceFile(`${parent}/a.json`, "new");
  assertEquals(namesIn(parent), ["a.json"]);
  assertEquals(Deno.readTextFileSync(`${parent}/a.json`), "new");
  if (isPosix) assertEquals(modeOf(`${parent}/a.json`), 0o600);
});

Deno.test(
  "replaceFile does not follow a link in the temp file's place",
  { ignore: !isPosix },
  () => {
    const parent = folder();
    Deno.writeTextFileSync(`${parent}/victim`, "untouched");
    for (const target of ["victim", "nothing"]) {
      Deno.symlinkSync(target, `${parent}/a.json.tmp`);
      replaceFile(`${parent}/a.json`, "secret");
      assert(Deno.lstatSync(`${parent}/a.json`).isFile);
      assertEquals(Deno.readTextFileSync(`${parent}/victim`), "untouched");
      assertEquals(namesIn(parent), ["a.json", "victim"]);
    }
  },
);

Deno.test(
  "replaceFile does not write through a link that comes between its cleaning and its writing",
  { ignore: !isPosix },
  () => {
    const parent = folder();
    Deno.writeTextFileSync(`${parent}/victim`, "untouched");
    Deno.symlinkSync("victim", `${parent}/a.json.tmp`);
    const { removeSync } = Deno;
    Deno.removeSync = (path) => {
      Deno.removeSync = removeSync;
      removeSync(path);
      Deno.symlinkSync("victim", `${parent}/a.json.tmp`);
    };
    try {
      assertThrows(() => replaceFile(`${parent}/a.json`, "secret"), Deno.errors.AlreadyExists);
    } finally {
      Deno.removeSync = removeSync;
    }
    assertEquals(Deno.readTextFileSync(`${parent}/victim`), "untouched");
  },
);

Deno.test(
  "replaceFile that cannot rename throws, and takes its temp file away",
  { permissions },
  () => {
    const parent = folder();
    Deno.mkdirSync(`${parent}/a.json/inner`, { recursive: true });
    assertThrows(() => replaceFile(`${parent}/a.json`, "secret"));
    assertEquals(namesIn(parent), ["a.json"]);
  },
);

Deno.test("a new folder is closed to others, as are the ones above it", {
  ignore: Deno.build.os === "windows",
}, () => {
  const parent = folder();
  for (let times = 0; times < 2; times++) makeFolder(`${parent}/a/b/c`);
  for (const path of ["a", "a/b", "a/b/c"]) assertEquals(modeOf(`${parent}/${path}`), 0o700);
});
