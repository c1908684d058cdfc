import { assert, assertEquals } from "@std/assert";
import { FileStore } from "../../../backends/file/store.ts";
import { ALL, backendUrl, startDeno } from "../../support/deno_process.ts";
import { entry as anyEntry, KEY, OTHER } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { isPosix, namesIn, sandbox } from "../../support/sandbox.ts";

const { folder, permissions } = sandbox();
const QUIET = ["c.json", "c.json.lock"];

/** With a scope, as this module writes it: a row of the Python library is claimed by a reservation. */
const entry = (fields = {}) => anyEntry({ scope: "openid", ...fields });

function storeIn(parent: string, lockTimeoutMs = 30_000): FileStore {
  return new FileStore({ path: `${parent}/c.json`, lockTimeoutMs, onWarning: () => {} });
}

async function rowIn(parent: string, key = KEY): Promise<unknown> {
  return JSON.parse(await Deno.readTextFile(`${parent}/c.json`)).credentials[key];
}

function setVersion(parent: string, version: number): void {
  const path = `${parent}/c.json`;
  const document = JSON.parse(Deno.readTextFileSync(path));
  Deno.writeTextFileSync(path, JSON.stringify({ ...document, version }));
}

/** A store in which the entry of a refresh could not be stored; the cause is over. */
async function unfinished(parent: string): Promise<void> {
  const store = storeIn(parent);
  await store.put(KEY, entry());
  await using _room = await store.reserve(KEY, 100);
  setVersion(parent, 99);
  await rejectsWith("backend_version", () => store.put(KEY, entry({ x_new: 1 })));
  setVersion(parent, 1);
}

Deno.test({
  name:
    "an entry that could not be stored in the place of a spent one is stored by the next process",
  permissions,
  async fn() {
    const parent = folder();
    await unfinished(parent);
    assertEquals(await rowIn(parent), entry());
    assertEquals(namesIn(parent).length, 3);
    await using _room = await storeIn(parent).reserve(KEY, 100);
    assertEquals(await rowIn(parent), entry({ x_new: 1 }));
  },
});

Deno.test({
  name: "an entry that could not be stored is dropped where its row has changed since",
  permissions,
  async fn() {
    const parent = folder();
    await unfinished(parent);
    const store = storeIn(parent);
    await store.put(KEY, entry({ x_later: 1 }));
    await (await store.reserve(KEY, 100))[Symbol.asyncDispose]();
    assertEquals(await rowIn(parent), entry({ x_later: 1 }));
    assertEquals(namesIn(parent), QUIET);
  },
});

Deno.test({
  name: "an entry that could not be stored goes with the sign-out of its key, and no other",
  permissions,
  async fn() {
    for (const end of ["delete", "deleteAll"] as const) {
      const parent = folder();
      await unfinished(parent);
      const store = storeIn(parent);
      await store.put(OTHER, entry());
      await store.delete(OTHER);
      assertEquals(namesIn(parent).length, 3);
      await store[end](KEY);
      assertEquals(namesIn(parent).filter((name) => name.endsWith(".tmp")), []);
      await (await store.reserve(KEY, 100))[Symbol.asyncDispose]();
      assertEquals(
        namesIn(parent).includes("c.json") && await rowIn(parent),
        end === "delete" && undefined,
      );
    }
  },
});

Deno.test({
  name: "a text that is no unfinished entry in a reserved file's place is overwritten",
  permissions,
  async fn() {
    const parent = folder();
    await unfinished(parent);
    const temp = `${parent}/${namesIn(parent).find((name) => name.endsWith(".tmp"))}`;
    for (const text of ["", "{}", `{"unfinished":1}`, `{"unfinished":{"key":"${KEY}"}}`]) {
      Deno.writeTextFileSync(temp, text, { mode: 0o600 });
      await (await storeIn(parent).reserve(KEY, 100))[Symbol.asyncDispose]();
      assertEquals(await rowIn(parent), entry());
    }
  },
});

Deno.test({
  name: "a living reservation stays where another key is signed out, and where its own is",
  permissions,
  async fn() {
    const parent = folder();
    const store = storeIn(parent);
    await store.put(KEY, entry());
    await store.put(OTHER, entry());
    await using _room = await store.reserve(KEY, 100);
    const names = namesIn(parent);
    await storeIn(parent).delete(OTHER);
    assertEquals(namesIn(parent), names);
    await storeIn(parent).delete(KEY);
    assertEquals(namesIn(parent), names);
  },
});

/** A process that reserves under the key's lock, and stores at the next line of its input. */
function refresher(path: string): string {
  return `
    import { FileStore } from "${backendUrl("file/store.ts")}";
    const store = new FileStore({
      path: ${JSON.stringify(path)}, lockTimeoutMs: 30_000, onWarning() {},
    });
    await store.withLock("${KEY}", async () => {
      await using room = await store.reserve("${KEY}", 100);
      console.log("reserved");
      await Deno.stdin.read(new Uint8Array(1));
      await store.put("${KEY}", ${JSON.stringify(entry({ x_new: 1 }))});
    }, {});
    console.log("stored");
  `;
}

Deno.test({
  name: "a lock file that is removed in a refresh lets no second process refresh beside it",
  ignore: !isPosix,
  async fn() {
    const parent = folder();
    const store = storeIn(parent);
    await store.put(KEY, entry());
    await using child = startDeno({ code: refresher(`${parent}/c.json`), flags: ALL });
    assertEquals(await child.line(), "reserved");
    for (const name of namesIn(parent)) {
      if (name.endsWith(".lock")) Deno.removeSync(`${parent}/${name}`);
    }
    let isReserved = false;
    const second = store.withLock(KEY, async () => {
      await using _room = await store.reserve(KEY, 100);
      isReserved = true;
      return await rowIn(parent);
    }, {});
    await new Promise((resolve) => setTimeout(resolve, 60)); // some of its tries
    assert(!isReserved);
    await child.write("go\n");
    assertEquals(await second, entry({ x_new: 1 }));
    assertEquals(await child.line(), "stored");
  },
});

Deno.test({
  name: "a put under a lock whose file was removed is refused, unless it was reserved before",
  permissions,
  ignore: !isPosix,
  async fn() {
    const parent = folder();
    const store = storeIn(parent);
    const removeLocks = () => {
      for (const name of namesIn(parent)) {
        if (name.endsWith(".lock")) Deno.removeSync(`${parent}/${name}`);
      }
    };
    await store.put(KEY, entry());
    await store.withLock(KEY, async () => {
      removeLocks();
      await rejectsWith("backend_locked", () => store.put(KEY, entry()), "removed or replaced");
      await store.delete(KEY); // a sign-out is not refused
    }, {});
    await store.withLock(KEY, async () => {
      await using _room = await store.reserve(KEY, 100);
      removeLocks();
      await store.put(KEY, entry({ x_new: 1 }));
    }, {});
    assertEquals(await rowIn(parent), entry({ x_new: 1 }));
  },
});

Deno.test({
  name: "a reservation is on the disk before it resolves, and fails where it cannot be",
  permissions,
  async fn() {
    const parent = folder();
    const store = storeIn(parent);
    await store.put(KEY, entry());
    const { sync } = Deno.FsFile.prototype;
    let syncs = 0;
    try {
      Deno.FsFile.prototype.sync = async function () {
        await sync.call(this);
        syncs++;
      };
      await (await store.reserve(KEY, 100))[Symbol.asyncDispose]();
      assertEquals(syncs, 1);
      Deno.FsFile.prototype.sync = () =>
        Promise.reject(Object.assign(new Error("No space left"), { code: "ENOSPC" }));
      await rejectsWith("backend_full", () => store.reserve(KEY, 100));
    } finally {
      Deno.FsFile.prototype.sync = sync;
    }
    assertEquals(namesIn(parent), QUIET);
    await (await store.reserve(KEY, 100))[Symbol.asyncDispose]();
  },
});
