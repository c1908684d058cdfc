/** Writes beside programs that take no lock, and what killed writes leave. */
import { assertEquals } from "@std/assert";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { isPosix, modeOf, namesIn, sandbox } from "../../support/sandbox.ts";

const { folder, permissions } = sandbox();

function test(name: string, fn: () => void | Promise<void>): void {
  Deno.test(name, { permissions }, fn);
}
const THEIRS = JSON.stringify({ version: 1, credentials: { [OTHER]: entry() } });

function make() {
  const parent = folder();
  const path = `${parent}/c.json`;
  const store = new FileCredentialsBackend({ path, lockTimeoutMs: 500, onWarning: () => {} });
  const keys = () => Object.keys(JSON.parse(Deno.readTextFileSync(path)).credentials);
  return { store, parent, path, keys };
}

/** Runs `fn`, and gives its steps on the disk. Each change is made after a write of a file. */
async function observed(
  fn: () => Promise<unknown>,
  changes: (() => void)[] = [],
): Promise<string[]> {
  const steps: string[] = [];
  const { renameSync } = Deno;
  const { prototype } = Deno.FsFile;
  const { syncSync } = prototype;
  prototype.syncSync = function () {
    syncSync.call(this);
    const { isDirectory, size } = this.statSync();
    steps.push(isDirectory ? "sync folder" : size > 0 ? "sync content" : "sync nothing");
    if (!isDirectory) changes.shift()?.();
  };
  Deno.renameSync = (from, to) => {
    steps.push("rename");
    renameSync(from, to);
  };
  try {
    await fn();
  } finally {
    prototype.syncSync = syncSync;
    Deno.renameSync = renameSync;
  }
  return steps;
}

Deno.test("a write has its content on the disk before the rename, and its folder after", {
  permissions,
  ignore: !isPosix,
}, async () => {
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

test("a delete removes what killed writes and earlier versions left, also without a row, and no more", async () => {
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
});

test("a sign-out that gets no lock has a temp file of its own", async () => {
  const { store, path, parent, keys } = make();
  for (const key of [KEY, OTHER]) await store.put(key, entry());
  Deno.removeSync(`${path}.lock`);
  Deno.mkdirSync(`${path}.lock`); // so that it cannot be had
  let temps: string[] = [];
  const look = () => temps = namesIn(parent).filter((name) => name.endsWith(".tmp"));
  await observed(() => store.delete(KEY), [look]);
  assertEquals(temps.map((name) => /^c\.json\.[0-9a-f]{8}\.tmp$/.test(name)), [true]);
  assertEquals([keys(), namesIn(parent)], [[OTHER], ["c.json", "c.json.lock"]]);
});
