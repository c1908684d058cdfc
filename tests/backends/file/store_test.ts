import { assert, assertEquals } from "@std/assert";
import { FileCredentialsBackend, withFileLock } from "../../../backends/file.ts";
import { ALL, backendUrl, startDeno } from "../../support/deno_process.ts";
import { entry, KEY, OTHER, small } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { replace } from "../../support/replace.ts";
import { isPosix, modeOf, namesIn, sandbox } from "../../support/sandbox.ts";
import { testWith } from "../../support/test_with.ts";

/** Writes beside programs that take no lock, and what killed writes leave. */

const { folder, permissions } = sandbox();

const test = Object.assign(testWith({ permissions }), {
  onPosix: testWith({ permissions, ignore: !isPosix }),
  onLinks: testWith({ ignore: !isPosix }), // making one takes every permission for files
});
const nothing = () => Promise.resolve();
const THEIRS = JSON.stringify({ version: 1, credentials: { [OTHER]: entry() } });

/** Backends of one file with different patience, and the path of the lock of the key "a". */
function make(parent = folder()) {
  const path = `${parent}/c.json`;
  const open = (lockTimeoutMs = 30_000) => new FileCredentialsBackend({ path, lockTimeoutMs });
  const keys = () => Object.keys(JSON.parse(Deno.readTextFileSync(path)).credentials);
  const temps = () => namesIn(parent).filter((name) => name.endsWith(".tmp"));
  return { parent, path, open, store: open(500), lockPath: `${path}.2c.lock`, keys, temps };
}

/** Runs `fn`, and gives its steps on the disk. Each change is made after a write of a file. */
async function observed(fn: () => Promise<unknown>, changes: (() => void)[] = []) {
  const steps: string[] = [];
  const { renameSync, FsFile: { prototype } } = Deno;
  const { syncSync } = prototype;
  using _sync = replace(prototype, "syncSync", function (this: Deno.FsFile) {
    syncSync.call(this);
    const { isDirectory, size } = this.statSync();
    steps.push(isDirectory ? "sync folder" : size > 0 ? "sync content" : "sync nothing");
    if (!isDirectory) changes.shift()?.();
  });
  using _rename = replace(Deno, "renameSync", (from, to) => {
    steps.push("rename");
    renameSync(from, to);
  });
  await fn();
  return steps;
}

test.onPosix("a write has its content on the disk before the rename, and its folder after", async () => {
  const { store } = make();
  const steps = ["sync content", "rename", "sync folder"];
  assertEquals(await observed(() => store.put(KEY, entry())), steps);
  assertEquals(await observed(() => store.deleteAll()), ["sync folder"]);
});

for (const way of ["in place", "by a rename", "for the first time", "by a removal"]) {
  test(`what a program without the lock writes right before the rename is kept: ${way}`, async () => {
    const { store, path, parent, keys } = make();
    if (way !== "for the first time") await store.put("old", entry());
    const change = () => {
      if (way === "by a removal") return Deno.removeSync(path);
      const target = way === "by a rename" ? `${path}.theirs` : path;
      Deno.writeTextFileSync(target, THEIRS, { mode: 0o600 });
      if (target !== path) Deno.renameSync(target, path);
    };
    await observed(() => store.put(KEY, entry()), [change]);
    assertEquals(keys(), way === "by a removal" ? [KEY] : [OTHER, KEY]);
    assertEquals(namesIn(parent), ["c.json", "c.json.lock"]);
  });
}

test("a program that writes without end does not hold up a put without end", async () => {
  const { store, path, keys } = make();
  let count = 0;
  const change = () => Deno.writeTextFileSync(path, THEIRS + " ".repeat(++count), { mode: 0o600 });
  await observed(() => store.put(KEY, entry()), Array(100).fill(change));
  assertEquals([keys().includes(KEY), count > 10 && count < 100], [true, true]);
});

test("a write that cannot be renamed is an error, and leaves no temp file", async () => {
  const { store, path, parent } = make();
  const block = () => Deno.mkdirSync(`${path}/inner`, { recursive: true });
  const put = () => store.put(KEY, entry());
  await observed(() => rejectsWith("backend_denied", put, path, "it is a folder"), [block]);
  assertEquals(namesIn(parent), ["c.json", "c.json.lock"]);
});

test("a put takes away the temp file that a crash left, whatever its mode", async () => {
  const { store, path, parent } = make();
  Deno.writeTextFileSync(`${path}.tmp`, "half a tok".repeat(1000));
  Deno.chmodSync(`${path}.tmp`, 0o666);
  await store.put(KEY, entry());
  assertEquals([namesIn(parent), store.get(KEY)], [["c.json", "c.json.lock"], entry()]);
  if (isPosix) assertEquals(modeOf(path), 0o600);
});

test("a delete removes what killed writes left, also without a row, and no lock file", async () => {
  const { store, path, parent } = make();
  await store.put(OTHER, entry());
  const others = ["c.json.bak.tmp", "x.json.tmp", "c.json.0123456.tmp", "d", "c.json.01.lock"];
  for (const name of others) Deno.writeTextFileSync(`${parent}/${name}`, "");
  for (const name of ["c.json.tmp", "c.json.01234567.tmp"]) {
    Deno.writeTextFileSync(`${parent}/${name}`, THEIRS);
  }
  Deno.mkdirSync(`${path}.89abcdef.tmp`);
  await store.delete(KEY);
  const kept = [...others, "c.json", "c.json.89abcdef.tmp", "c.json.lock"].sort();
  assertEquals(namesIn(parent), kept);
  Deno.writeTextFileSync(`${path}.tmp`, THEIRS);
  for (const _ of [1, 2]) await store.deleteAll();
  assertEquals(namesIn(parent), kept.filter((name) => name !== "c.json"));
});

test("a sign-out that gets no lock has a temp file of its own", async () => {
  const { store, path, parent, keys, temps } = make();
  for (const key of [KEY, OTHER]) await store.put(key, entry());
  Deno.removeSync(`${path}.lock`);
  Deno.mkdirSync(`${path}.lock`); // so that it cannot be had
  let seen: string[] = [];
  await observed(() => store.delete(KEY), [() => seen = temps()]);
  assertEquals(seen.map((name) => /^c\.json\.[0-9a-f]{8}\.tmp$/.test(name)), [true]);
  assertEquals([keys(), namesIn(parent)], [[OTHER], ["c.json", "c.json.lock"]]);
});

/** The lock of a key proves that the file can be written, by a temp file that is then the write's own. */

test("a lock makes a closed file of the coming size, which the put uses, and leaves no trace", async () => {
  const { store, path, parent, temps } = make();
  await store.put(KEY, entry());
  for (const isPut of [true, false]) {
    await store.withLock(KEY, async () => {
      const [temp, ...more] = temps().map((name) => `${parent}/${name}`);
      assertEquals(more, []);
      const { size, ino } = Deno.statSync(temp!);
      assert(size > Deno.statSync(path).size + 10_000);
      if (isPosix) assertEquals(modeOf(temp!), 0o600);
      if (!isPut) return;
      await store.put(KEY, entry({ x_new: 1 }));
      assertEquals([Deno.statSync(path).ino, temps()], [ino, []]);
      await store.put(KEY, entry({ x_new: 2 }));
    });
    assertEquals(temps(), []);
  }
  assertEquals(store.get(KEY), entry({ x_new: 2 }));
});

test("a lock proves that the file's own lock can be had: nothing is spent before", async () => {
  const { store, path } = make();
  await store.put(KEY, entry());
  Deno.removeSync(`${path}.lock`);
  Deno.mkdirSync(`${path}.lock`);
  await rejectsWith("backend_denied", () => store.withLock(KEY, nothing), ".lock");
});

test("a temp file that somebody replaced is not used, nor one that a crash left", async () => {
  const { store, parent, temps } = make();
  await store.withLock(KEY, async () => {
    const [temp] = temps();
    Deno.writeTextFileSync(`${parent}/planted`, "planted");
    Deno.renameSync(`${parent}/planted`, `${parent}/${temp}`);
    await store.put(KEY, entry({ x_new: 1 }));
    assertEquals(temps(), [temp]);
  });
  assertEquals(store.get(KEY), entry({ x_new: 1 }));
  await store.withLock(KEY, () => {
    assertEquals(Deno.readFileSync(`${parent}/${temps()[0]}`)[0], 0);
    return Promise.resolve();
  });
  assertEquals(temps(), []);
});

test.onPosix("a lock file or a folder that vanishes is an error, never a sign-out", async () => {
  for (const what of ["lock", "folder"]) {
    const parent = `${folder()}/inner`;
    const { store: backend } = make(parent);
    await backend.put(KEY, entry());
    await backend.withLock(KEY, async () => {
      if (what === "folder") Deno.renameSync(parent, `${parent}.moved`);
      else for (const name of namesIn(parent)) Deno.removeSync(`${parent}/${name}`);
      await rejectsWith("backend_locked", () => backend.get(KEY), backend.path);
      await rejectsWith("backend_locked", () => backend.put(KEY, entry()), backend.path);
    });
    assertEquals(backend.get(KEY), undefined);
    await backend.withLock(KEY, nothing);
    await backend.put(KEY, entry());
  }
  const { store, path } = make();
  await store.withLock(KEY, async () => {
    await store.put(KEY, entry());
    Deno.removeSync(path); // by somebody who signs out all
    assertEquals(store.get(KEY), undefined);
  });
});

test("a lock's file is empty and closed, and stays", async () => {
  const { open, lockPath, parent } = make();
  assertEquals(await open().withLock("a", () => Promise.resolve(7)), 7);
  assertEquals(namesIn(parent), ["c.json.2c.lock", "c.json.lock"]); // of the same name in every release
  assertEquals(Deno.readTextFileSync(lockPath), "");
  if (isPosix) assertEquals(modeOf(lockPath), 0o600);
});

test("the wait for a lock ends by its time limit or what peek sees, and does not begin after an abort", async () => {
  const { open, path } = make();
  const looks: string[] = [];
  const peek = () => Promise.resolve(looks.push("look") < 3 ? undefined : "seen");
  assertEquals(await open().withLock("a", () => Promise.resolve("run"), { peek }), "run");
  assertEquals(looks, []);
  let hasRun = false;
  const run = () => Promise.resolve(String(hasRun = true));
  await open().withLock("a", async () => {
    for (const timeoutMs of [0, 25]) {
      const start = performance.now();
      const words = ["lsof", `${timeoutMs} ms`];
      await rejectsWith("backend_locked", () => open(timeoutMs).withLock("a", run), ...words);
      assertEquals(performance.now() - start >= timeoutMs, true);
    }
    assertEquals(await open().withLock("a", run, { peek }), "seen");
    assertEquals(looks.length, 3);
    await rejectsWith("backend_locked", () => open(0).withLock("a", run)); // still held
    const store = new FileCredentialsBackend({ path });
    let now = 0;
    using _ = replace(performance, "now", () => now += 10_000);
    for (const lock of [() => withFileLock(path, "a", run), () => store.withLock("a", run)]) {
      await rejectsWith("backend_locked", lock, "within 30000 ms");
    }
  });
  const late = open().withLock("a", run, { signal: AbortSignal.abort("enough") });
  assertEquals(await late.catch((reason) => reason), "enough");
  assertEquals(hasRun, false);
  assertEquals(await open().withLock("a", () => Promise.resolve("free")), "free");
});

test("256 lock files are for all keys, and one process holds several keys of one", async () => {
  const { open, parent } = make();
  const ofFile = new Map<string, string[]>();
  for (let number = 0; number < 100; number++) {
    const seen = await open().withLock(`${number}`, () => {
      const look = () =>
        namesIn(parent).filter((name) => {
          using file = Deno.openSync(`${parent}/${name}`, { write: true });
          return name.endsWith(".lock") && !file.tryLockSync(true);
        });
      let held = look();
      while (held.length > 1) held = look(); // a child that another test starts has them for a moment
      return Promise.resolve(held);
    });
    assertEquals(seen.length, 1);
    ofFile.set(seen[0]!, [...ofFile.get(seen[0]!) ?? [], `${number}`]);
  }
  const names = namesIn(parent).filter((name) => name !== "c.json.lock"); // of the writes
  assertEquals(names.filter((name) => !/^c\.json\.[0-9a-f]{2}\.lock$/.test(name)), []);
  assert(names.length > 60, `${names.length} files for 100 keys`); // strangers hardly meet
  const [shared, keys] = [...ofFile].find(([, keys]) => keys.length > 1)!;
  const lockPath = `${parent}/${shared}`;
  const inOneProcess = async ([key, ...rest]: string[]): Promise<void> => {
    if (key === undefined) return;
    await open().withLock(key, async () => {
      await rejectsWith("backend_locked", () => open(0).withLock(key, nothing));
      await inOneProcess(rest);
      using file = Deno.openSync(lockPath, { write: true });
      assertEquals(file.tryLockSync(true), false); // also after the inner ones have ended
    });
  };
  await inOneProcess(keys);
  using file = Deno.openSync(lockPath, { write: true });
  await file.lock(true);
});

test("a lock without a place is refused: it would be a file in the working folder", async () => {
  for (const path of ["", " "]) {
    await rejectsWith("invalid_options", () => withFileLock(path, "a", nothing), '"path" is empty');
  }
});

test.onLinks("a lock file is not made through a link that is planted after the look", async () => {
  const { path, parent, store } = make();
  const { openSync } = Deno;
  using planted = replace(Deno, "openSync", (file, options) => {
    planted[Symbol.dispose]();
    Deno.symlinkSync("made", `${path}.lock`);
    return openSync(file, options);
  });
  await rejectsWith("backend_denied", () => store.put(KEY, entry()), "it is a symbolic link");
  assertEquals(namesIn(parent), ["c.json.lock"]);
});

test.onPosix("a lock file that is replaced while somebody waits for it is not the lock any more", async () => {
  const { open, lockPath } = make();
  const order: string[] = [];
  /** Holds the lock until it is told to end. */
  const hold = async () => {
    const [begun, end] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const held = open().withLock("a", async () => {
      begun.resolve();
      await end.promise;
    });
    await begun.promise;
    return { held, end: end.resolve };
  };
  const first = await hold();
  const waiter = open().withLock("a", () => Promise.resolve(void order.push("waiter")));
  await new Promise((resolve) => setTimeout(resolve, 5)); // it has opened the file
  Deno.removeSync(lockPath);
  const second = await hold();
  first.end(); // the waiter gets the lock of the removed file
  await first.held;
  await new Promise((resolve) => setTimeout(resolve, 100));
  order.push("new holder ends");
  second.end();
  await Promise.all([second.held, waiter]);
  assertEquals(order, ["new holder ends", "waiter"]);
});

Deno.test("a reader never sees half a file of a writer, nor does one that is killed leave half", async () => {
  const { store: backend, path, parent } = make();
  await backend.put("mine", small("mine"));
  const code = `
    import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
    const backend = new FileCredentialsBackend({ path: ${JSON.stringify(path)} });
    const entry = { issuer: "i", access_token: "t", fill: "f".repeat(300_000) };
    console.log("begun");
    for (let i = 1;; i++) await backend.put("theirs", { ...entry, client_id: String(i) });`;
  for (const reads of [60, 7]) {
    await using child = startDeno({ code, flags: ALL });
    await child.line();
    let last = 0;
    for (let count = 0; count < reads || last === 0; count++) {
      const seen = Number(backend.get("theirs")?.client_id ?? 0);
      assert(count === 0 || seen >= last, "an older state came back");
      last = seen;
      await new Promise((resolve) => setTimeout(resolve));
    }
    await child.kill();
    assertEquals(backend.get("mine"), small("mine"));
    await backend.put("mine", small("mine"));
    assertEquals(namesIn(parent), ["c.json", "c.json.lock"]);
    await backend.delete("theirs");
  }
});

Deno.test("file: a write that another program overtakes each time is done at the twenty-first", async () => {
  const path = `${folder()}/c.json`;
  const store = new FileCredentialsBackend({ path });
  await store.put("a", entry());
  let tries = 0;
  const isReplaced = () => {
    Deno.utimeSync(path, ++tries, tries);
    return true;
  };
  assertEquals([await store.put("a", entry(), { isReplaced }), tries], [true, 21]);
});
