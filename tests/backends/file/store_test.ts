import { assertEquals } from "@std/assert";
import type { CredentialsBackendErrorCode } from "../../../backends/credentials_backend_error.ts";
import { FileStore } from "../../../backends/file/store.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { isPosix, namesIn, sandbox } from "../../support/sandbox.ts";

const { folder, permissions } = sandbox();

interface Made {
  store: FileStore;
  parent: string;
  path: string;
}

function make(lockTimeoutMs = 30_000): Made {
  const parent = folder();
  const path = `${parent}/c.json`;
  const store = new FileStore({ path, lockTimeoutMs, onWarning: () => {}, held: new Map() });
  return { store, parent, path };
}

Deno.test("a delete of an absent row writes nothing", { permissions }, async () => {
  const { store, parent } = make();
  await store.delete(KEY);
  assertEquals(namesIn(parent), []);
});

Deno.test("a put keeps what another program has written meanwhile", { permissions }, async () => {
  const { store, path } = make();
  await store.put(KEY, entry());
  Deno.writeTextFileSync(path, JSON.stringify({ version: 1, credentials: { [OTHER]: entry() } }));
  await store.put(KEY, entry());
  assertEquals(Object.keys(JSON.parse(Deno.readTextFileSync(path)).credentials), [
    OTHER,
    KEY,
  ]);
});

Deno.test("a put that fails leaves the file and frees its lock", { permissions }, async () => {
  const { store, path } = make(0);
  await store.put(KEY, entry());
  const before = Deno.readFileSync(path);
  await rejectsWith("backend_unavailable", () => store.put(KEY, entry({ x_big: 1n })), path);
  assertEquals(Deno.readFileSync(path), before);
  await store.put(KEY, entry());
});

Deno.test("writes wait for each other, but not for a key's lock", { permissions }, async () => {
  // A program that another test starts has the descriptors until it runs: a lock is free a little later.
  const { store, path } = make(500);
  const keys = Array.from({ length: 30 }, (_, index) => `k${index}`);
  await store.withLock("k0", () => store.put("k0", entry()), {});
  await Promise.all(keys.map((key) => store.put(key, entry())));
  const { credentials } = JSON.parse(Deno.readTextFileSync(path));
  assertEquals(Object.keys(credentials), keys);
});

/** Runs `fn` while somebody else changes the file, right before each of the first renames. */
async function withIntruder(changes: (() => void)[], fn: () => Promise<void>): Promise<void> {
  const { prototype } = Deno.FsFile;
  const { syncSync } = prototype;
  prototype.syncSync = function () {
    syncSync.call(this);
    if (!this.statSync().isDirectory) changes.shift()?.();
  };
  try {
    await fn();
  } finally {
    prototype.syncSync = syncSync;
  }
}

const THEIRS = JSON.stringify({ version: 1, credentials: { [OTHER]: entry() } });

for (const way of ["in place", "by a rename", "for the first time", "by a removal"]) {
  Deno.test(`what a program without the lock writes right before the rename is kept: ${way}`, {
    permissions,
  }, async () => {
    const { store, path, parent } = make();
    if (way !== "for the first time") await store.put("old", entry());
    const change = () => {
      if (way === "by a removal") return Deno.removeSync(path);
      const target = way === "by a rename" ? `${path}.theirs` : path;
      Deno.writeTextFileSync(target, THEIRS, { mode: 0o600 });
      if (target !== path) Deno.renameSync(target, path);
    };
    await withIntruder([change], () => store.put(KEY, entry()));
    const { credentials } = JSON.parse(Deno.readTextFileSync(path));
    assertEquals(Object.keys(credentials), way === "by a removal" ? [KEY] : [OTHER, KEY]);
    assertEquals(namesIn(parent), ["c.json", "c.json.lock"]);
  });
}

Deno.test(
  "a program that writes without end does not hold up a put without end",
  { permissions },
  async () => {
    const { store, path } = make();
    let count = 0;
    const change = () =>
      Deno.writeTextFileSync(path, THEIRS + " ".repeat(++count), { mode: 0o600 });
    await withIntruder(Array(100).fill(change), () => store.put(KEY, entry()));
    const { credentials } = JSON.parse(Deno.readTextFileSync(path));
    assertEquals(Object.hasOwn(credentials, KEY), true);
    assertEquals(count < 100, true);
  },
);

Deno.test(
  "a delete removes what killed writes and earlier versions left, also without a row, and no more",
  { permissions },
  async () => {
    const { store, path, parent } = make();
    await store.put(OTHER, entry());
    const others = ["c.json.bak.tmp", "x.json.tmp", "c.json.0123456.tmp", "d"];
    for (const name of others) Deno.writeTextFileSync(`${parent}/${name}`, "");
    for (const name of ["c.json.tmp", "c.json.01234567.tmp", "c.json.01234567.lock"]) {
      Deno.writeTextFileSync(`${parent}/${name}`, THEIRS);
    }
    Deno.mkdirSync(`${path}.89abcdef.tmp`);
    await store.delete(KEY);
    const kept = [...others, "c.json", "c.json.89abcdef.tmp", "c.json.lock"].sort();
    assertEquals(namesIn(parent), kept);
    Deno.writeTextFileSync(`${path}.tmp`, THEIRS);
    await store.deleteAll();
    assertEquals(namesIn(parent), kept.filter((name) => name !== "c.json"));
  },
);

Deno.test("tokens are removed where a lock file was planted, or is held for ever, and where a temp was", async () => {
  const { store, path, parent } = make(20);
  for (const remove of [() => store.delete(KEY), () => store.deleteAll()]) {
    await store.put(KEY, entry());
    Deno.removeSync(`${path}.lock`);
    const [code, reason] = plant(`${path}.lock`);
    await rejectsWith(code, () => store.put(KEY, entry()), reason);
    Deno.mkdirSync(`${path}.tmp/inner`, { recursive: true });
    await remove();
    assertEquals(existsWith(path, KEY), false);
    Deno.removeSync(`${path}.lock`);
    await store.put(KEY, entry());
    using held = Deno.openSync(`${path}.lock`, { read: true, write: true });
    held.lockSync(true);
    await rejectsWith("backend_locked", () => store.put(KEY, entry()));
    await remove();
    assertEquals(existsWith(path, KEY), false);
  }
  assertEquals(namesIn(parent), ["c.json.lock", "c.json.tmp"]);
});

/** Links need a privilege on Windows. Gives what a put says of the thing. */
function plant(path: string): [code: CredentialsBackendErrorCode, reason: string] {
  if (isPosix) Deno.symlinkSync("nothing", path);
  else Deno.mkdirSync(path);
  return isPosix
    ? ["backend_denied", "it is a symbolic link"]
    : ["backend_denied", "it is a folder"];
}

function existsWith(path: string, key: string): boolean {
  try {
    return Object.hasOwn(JSON.parse(Deno.readTextFileSync(path)).credentials, key);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

Deno.test("deleteAll syncs the folder, so that the tokens do not come back with a power cut", {
  ignore: Deno.build.os === "windows",
  permissions,
}, async () => {
  const { store } = make();
  await store.put(KEY, entry());
  const { prototype } = Deno.FsFile;
  const { syncSync } = prototype;
  let folders = 0;
  prototype.syncSync = function () {
    if (this.statSync().isDirectory) folders++;
    syncSync.call(this);
  };
  try {
    await store.deleteAll();
  } finally {
    prototype.syncSync = syncSync;
  }
  assertEquals(folders, 1);
});

Deno.test("a sign-out that gets no lock has a temp file of its own", { permissions }, async () => {
  const { store, path, parent } = make();
  for (const key of [KEY, OTHER]) await store.put(key, entry());
  Deno.removeSync(`${path}.lock`);
  Deno.mkdirSync(`${path}.lock`); // so that it cannot be had
  let temps: string[] = [];
  const look = () => temps = namesIn(parent).filter((name) => name.endsWith(".tmp"));
  await withIntruder([look], () => store.delete(KEY));
  assertEquals(temps.map((name) => /^c\.json\.[0-9a-f]{8}\.tmp$/.test(name)), [true]);
  const { credentials } = JSON.parse(Deno.readTextFileSync(path));
  assertEquals(Object.keys(credentials), [OTHER]);
  assertEquals(namesIn(parent), ["c.json", "c.json.lock"]);
});
