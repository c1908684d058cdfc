import { assert, assertEquals, assertThrows } from "@std/assert";
import { setEntry } from "../../../backends/file/credentials_file.ts";
import {
  FileStore,
  removeIfPresent,
  renameOver,
  tempPath,
  writeFileAtomic,
} from "../../../backends/file/store.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { isPosix, modeOf, namesIn, sandbox } from "../../support/sandbox.ts";

const { folder, permissions } = sandbox();

const nothing = () => Promise.resolve();

interface Made {
  store: FileStore;
  parent: string;
  path: string;
}

function make(lockTimeoutMs = 30_000): Made {
  const parent = folder();
  const path = `${parent}/c.json`;
  return { store: new FileStore({ path, lockTimeoutMs, onWarning: () => {} }), parent, path };
}

Deno.test({
  name: "an update that changes nothing writes nothing",
  permissions,
  async fn() {
    const { store, parent } = make();
    await store.update(() => false);
    assertEquals(namesIn(parent), ["c.json.lock"]);
  },
});

Deno.test({
  name: "an update sees what is in the file at that moment, not what was there at first",
  permissions,
  async fn() {
    const { store, path } = make();
    await store.update((document) => {
      setEntry(document, KEY, entry());
      return true;
    });
    Deno.writeTextFileSync(path, JSON.stringify({ version: 1, credentials: { [OTHER]: entry() } }));
    await store.update(({ credentials }) => {
      assertEquals(Object.keys(credentials), [OTHER]);
      return false;
    });
  },
});

Deno.test({
  name: "an update whose change throws leaves the file and frees its lock",
  permissions,
  async fn() {
    const { store, path } = make(0);
    await store.update(() => true);
    const before = Deno.readFileSync(path);
    const fail = (): never => {
      throw new Error("a fault of the caller");
    };
    await rejectsWith("backend_unavailable", () => store.update(fail), path);
    assertEquals(Deno.readFileSync(path), before);
    await store.update(() => true);
  },
});

Deno.test({
  name: "the temp file that a crash left goes with the next write",
  permissions,
  async fn() {
    const { store, parent } = make();
    Deno.writeTextFileSync(`${parent}/c.json.tmp`, "half");
    await store.update(() => true);
    assertEquals(namesIn(parent), ["c.json", "c.json.lock"]);
  },
});

Deno.test({
  name: "remove takes the temp file that a crash left with it: there are tokens in that, too",
  permissions,
  async fn() {
    const { store, parent } = make();
    await store.update(() => true);
    Deno.writeTextFileSync(`${parent}/c.json.tmp`, "half");
    await store.remove();
    assertEquals(namesIn(parent), ["c.json.lock"]);
  },
});

Deno.test({
  name: "each key has a lock file of its own, whose name tells nothing and has a fixed length",
  permissions,
  async fn() {
    const { store, parent } = make(0);
    const keys = [KEY, OTHER, "../x", "y".repeat(2000)];
    for (const key of keys) {
      await store.withKeyLock(key, async () => {
        for (const other of keys) {
          if (other !== key) await store.withKeyLock(other, nothing, {});
        }
        await rejectsWith("backend_locked", () => store.withKeyLock(key, nothing, {}));
      }, {});
    }
    const names = namesIn(parent);
    assertEquals(names.length, keys.length);
    for (const name of names) assert(/^c\.json\.[0-9a-f]{8}\.lock$/.test(name), name);
  },
});

Deno.test({
  name: "writes wait for each other, but not for a key's lock",
  permissions,
  async fn() {
    const { store, path } = make(0);
    await store.withKeyLock(KEY, () => store.update(() => true), {});
    const keys = Array.from({ length: 30 }, (_, index) => `k${index}`);
    await Promise.all(keys.map((key) =>
      store.update((document) => {
        setEntry(document, key, entry());
        return true;
      })
    ));
    const { credentials } = JSON.parse(Deno.readTextFileSync(path));
    assertEquals(Object.keys(credentials), keys);
  },
});

Deno.test({
  name: "writeFileAtomic makes a file of mode 0600 and leaves nothing beside it",
  permissions,
  fn() {
    const parent = folder();
    writeFileAtomic(`${parent}/a.json`, "größe 🔑");
    assertEquals(Deno.readTextFileSync(`${parent}/a.json`), "größe 🔑");
    assertEquals(namesIn(parent), ["a.json"]);
    if (isPosix) assertEquals(modeOf(`${parent}/a.json`), 0o600);
  },
});

Deno.test({
  name: "writeFileAtomic puts a new file in the old one's place: an open reader keeps the old",
  permissions,
  ignore: !isPosix,
  fn() {
    const path = `${folder()}/a.json`;
    Deno.writeTextFileSync(path, "old", { mode: 0o644 });
    using reader = Deno.openSync(path);
    writeFileAtomic(path, "the new text");
    const buffer = new Uint8Array(20);
    assertEquals(new TextDecoder().decode(buffer.subarray(0, reader.readSync(buffer) ?? 0)), "old");
    assertEquals(Deno.readTextFileSync(path), "the new text");
    assertEquals(modeOf(path), 0o600);
  },
});

Deno.test({
  name: "writeFileAtomic has the content on the disk before it is renamed, and the folder after",
  permissions,
  ignore: !isPosix,
  fn() {
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
      writeFileAtomic(`${parent}/a.json`, "the text");
    } finally {
      prototype.syncSync = syncSync;
      Deno.renameSync = renameSync;
    }
    assertEquals(steps, ["sync 8", "rename", "sync folder"]);
  },
});

Deno.test({
  name: "writeFileAtomic writes a large text whole",
  permissions,
  fn() {
    const path = `${folder()}/a.json`;
    const text = "0123456789".repeat(200_000);
    writeFileAtomic(path, text);
    assertEquals(Deno.readTextFileSync(path) === text, true);
    writeFileAtomic(path, "");
    assertEquals(Deno.statSync(path).size, 0);
  },
});

Deno.test({
  name: "writeFileAtomic takes away the temp file that a crash left, whatever its mode",
  permissions,
  fn() {
    const parent = folder();
    Deno.writeTextFileSync(`${parent}/a.json.tmp`, "half a tok", { mode: 0o666 });
    writeFileAtomic(`${parent}/a.json`, "new");
    assertEquals(namesIn(parent), ["a.json"]);
    assertEquals(Deno.readTextFileSync(`${parent}/a.json`), "new");
    if (isPosix) assertEquals(modeOf(`${parent}/a.json`), 0o600);
  },
});

Deno.test({
  name: "writeFileAtomic does not follow a link in the temp file's place",
  ignore: !isPosix,
  fn() {
    const parent = folder();
    Deno.writeTextFileSync(`${parent}/victim`, "untouched");
    for (const target of ["victim", "nothing"]) {
      Deno.symlinkSync(target, `${parent}/a.json.tmp`);
      writeFileAtomic(`${parent}/a.json`, "secret");
      assert(Deno.lstatSync(`${parent}/a.json`).isFile);
      assertEquals(Deno.readTextFileSync(`${parent}/victim`), "untouched");
      assertEquals(namesIn(parent), ["a.json", "victim"]);
    }
  },
});

Deno.test({
  name: "writeFileAtomic refuses a link that comes between its cleaning and its writing",
  ignore: !isPosix,
  fn() {
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
      assertThrows(() => writeFileAtomic(`${parent}/a.json`, "secret"), Deno.errors.AlreadyExists);
    } finally {
      Deno.removeSync = removeSync;
    }
    assertEquals(Deno.readTextFileSync(`${parent}/victim`), "untouched");
    assertEquals(namesIn(parent), ["victim"]);
  },
});

Deno.test({
  name: "writeFileAtomic that cannot rename throws, and takes its temp file away",
  permissions,
  fn() {
    const parent = folder();
    Deno.mkdirSync(`${parent}/a.json/inner`, { recursive: true });
    assertThrows(() => writeFileAtomic(`${parent}/a.json`, "secret"));
    assertEquals(namesIn(parent), ["a.json"]);
  },
});

Deno.test({
  name: "writeFileAtomic throws what it finds in the temp file's place and cannot remove",
  permissions,
  fn() {
    const parent = folder();
    Deno.writeTextFileSync(`${parent}/a.json`, "old");
    Deno.mkdirSync(`${parent}/a.json.tmp/inner`, { recursive: true });
    assertThrows(() => writeFileAtomic(`${parent}/a.json`, "new"));
    assertEquals(Deno.readTextFileSync(`${parent}/a.json`), "old");
  },
});

Deno.test({
  name: "removeIfPresent removes a file, and is content where there is none",
  permissions,
  fn() {
    const path = `${folder()}/a`;
    Deno.writeTextFileSync(path, "");
    removeIfPresent(path);
    removeIfPresent(path);
    assertThrows(() => removeIfPresent("/elsewhere/a"), Deno.errors.NotCapable);
  },
});

Deno.test({
  name: "tempPath keeps a path relative",
  permissions: "none",
  fn() {
    assertEquals(tempPath("a/b.json"), "a/b.json.tmp");
  },
});

Deno.test({
  name: "renameOver waits on Windows for a program that has the file open, and for nothing else",
  permissions: "none",
  fn() {
    const attempts = (isWindows: boolean, fault: Error, faults: number) => {
      let tries = 0;
      const rename = () => {
        if (++tries <= faults) throw fault;
      };
      try {
        renameOver("from", "to", { rename, isWindows });
        return `${tries} tries`;
      } catch (error) {
        return `${tries} tries, ${(error as Error).name}`;
      }
    };
    const held = new Deno.errors.PermissionDenied("held");
    assertEquals(attempts(true, held, 2), "3 tries");
    assertEquals(attempts(true, new Deno.errors.Busy("held"), 1), "2 tries");
    assertEquals(attempts(true, new Deno.errors.NotFound("gone"), 1), "1 tries, NotFound");
    assertEquals(attempts(false, held, 1), "1 tries, PermissionDenied");
  },
});
