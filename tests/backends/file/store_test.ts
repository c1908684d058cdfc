import { assert, assertEquals } from "@std/assert";
import { FileStore } from "../../../backends/file/store.ts";
import { parseDocument } from "../../../backends/file/credentials_file.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { namesIn, sandbox } from "../../support/sandbox.ts";

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
  name: "a delete of an absent row writes nothing",
  permissions,
  async fn() {
    const { store, parent } = make();
    await store.delete(KEY);
    assertEquals(namesIn(parent), ["c.json.lock"]);
  },
});

Deno.test({
  name: "a put keeps what another program has written meanwhile",
  permissions,
  async fn() {
    const { store, path } = make();
    await store.put(KEY, entry());
    Deno.writeTextFileSync(path, JSON.stringify({ version: 1, credentials: { [OTHER]: entry() } }));
    await store.put(KEY, entry());
    assertEquals(Object.keys(parseDocument(Deno.readTextFileSync(path), path).credentials), [
      OTHER,
      KEY,
    ]);
  },
});

Deno.test({
  name: "a put that fails leaves the file and frees its lock",
  permissions,
  async fn() {
    const { store, path } = make(0);
    await store.put(KEY, entry());
    const before = Deno.readFileSync(path);
    await rejectsWith("backend_unavailable", () => store.put(KEY, entry({ x_big: 1n })), path);
    assertEquals(Deno.readFileSync(path), before);
    await store.put(KEY, entry());
  },
});

Deno.test({
  name: "the temp file that a crash left goes with the next write",
  permissions,
  async fn() {
    const { store, parent } = make();
    Deno.writeTextFileSync(`${parent}/c.json.tmp`, "half");
    await store.put(KEY, entry());
    assertEquals(namesIn(parent), ["c.json", "c.json.lock"]);
  },
});

Deno.test({
  name: "deleteAll takes the temp file that a crash left with it: there are tokens in that, too",
  permissions,
  async fn() {
    const { store, parent } = make();
    await store.put(KEY, entry());
    Deno.writeTextFileSync(`${parent}/c.json.tmp`, "half");
    await store.deleteAll();
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
      await store.withLock(key, async () => {
        for (const other of keys) {
          if (other !== key) await store.withLock(other, nothing, {});
        }
        await rejectsWith("backend_locked", () => store.withLock(key, nothing, {}));
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
    const keys = Array.from({ length: 30 }, (_, index) => `k${index}`);
    await store.withLock("k0", () => store.put("k0", entry()), {});
    await Promise.all(keys.map((key) => store.put(key, entry())));
    const { credentials } = JSON.parse(Deno.readTextFileSync(path));
    assertEquals(Object.keys(credentials), keys);
  },
});
