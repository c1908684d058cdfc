import { assert, assertEquals } from "@std/assert";
import { setEntry } from "../../backends/credentials_document.ts";
import { FileStore } from "../../backends/file_store.ts";
import { entry, KEY, OTHER } from "./entries.ts";
import { rejectsWith } from "./rejects_with.ts";
import { namesIn, sandbox } from "./sandbox.ts";

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
