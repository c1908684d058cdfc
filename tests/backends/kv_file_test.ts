/** A KV database in a file: its modes, neighbours and troubles. */
import { quoteArgument } from "../../backends/common/runtime.ts";
import { assert, assertEquals } from "@std/assert";
import type { CredentialsBackendErrorCode } from "../../backends/credentials_backend_error.ts";
import { KvCredentialsBackend } from "../../backends/kv.ts";
import { backendUrl, mustRun, runDeno } from "../support/deno_process.ts";
import { entry, KEY, OTHER, small } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { replace } from "../support/replace.ts";
import { runDenied, runMounted, whyNoDenial, whyNoMount } from "../support/run_denied.ts";
import { isPosix, makePipe, modeOf, namesIn, sandbox } from "../support/sandbox.ts";
import { testWith } from "../support/test_with.ts";
import { callsOf } from "./stores.ts";

const { folder, permissions } = sandbox();
const SIDES = ["-journal", "-wal", "-shm"];
const whyNoOwner = isPosix && Deno.uid() === 0 ? undefined : "needs root, to give a file away";

type Used = { backend: KvCredentialsBackend; path: string; parent: string };

/** Tests with a database that was used, and a backend that has not opened it again. */
function used(
  name: string,
  fn: (world: Used) => Promise<void>,
  options: Parameters<typeof testWith>[0] = {},
): void {
  testWith(options, "kv file: ")(name, async () => {
    const parent = folder();
    const path = `${parent}/kv.db`;
    const backend = new KvCredentialsBackend({ path });
    await backend.put(KEY, entry());
    await backend.close();
    try {
      await fn({ backend, path, parent });
    } finally {
      await backend.close();
    }
  });
}

const usedWhere =
  (options: Parameters<typeof testWith>[0]) => (...[name, fn]: Parameters<typeof used>) =>
    used(name, fn, options);
const test = Object.assign(used, {
  onPosix: usedWhere({ ignore: !isPosix }),
  onLinux: usedWhere({ ignore: Deno.build.os !== "linux" }),
  asRoot: usedWhere({ whyNot: whyNoOwner }),
  bySystem: usedWhere({ whyNot: whyNoDenial }),
  mounted: testWith({ whyNot: whyNoMount }, "kv file: "),
  denied: testWith({ permissions: "none" }, "kv: "),
  fresh: testWith({ permissions }, "kv file: "),
  freshOnPosix: testWith({ ignore: !isPosix }, "kv file: "),
});

test.freshOnPosix("a path through a link is the same store", () => {
  const parent = folder();
  Deno.symlinkSync(parent, `${parent}/link`);
  const idOf = (path: string) => new KvCredentialsBackend({ path }).storeId;
  assertEquals(idOf(`${parent}/link/kv.db`), idOf(`${parent}/kv.db`));
});

test.freshOnPosix("files are 0600 from their creation, in 0700 folders, whatever the umask", async () => {
  const parent = folder();
  const code = `
    import { KvCredentialsBackend } from "${backendUrl("kv.ts")}";
    Deno.umask(0);
    const backend = new KvCredentialsBackend({ path: "${parent}/new/kv.db" });
    await backend.put("k", { issuer: "i", client_id: "c", access_token: "t" });
    const modes = [...Deno.readDirSync("${parent}/new")].map(({ name }) =>
      name + " " + (Deno.statSync("${parent}/new/" + name).mode & 0o777).toString(8));
    console.log(modes.sort().join());
    await backend.close();
  `;
  const { stdout, stderr } = await runDeno({ code, flags: ["--unstable-kv", "-A"] });
  assertEquals([stderr, stdout.trim()], ["", "kv.db 600,kv.db-shm 600,kv.db-wal 600"]);
  assertEquals(modeOf(`${parent}/new`), 0o700);
});

test.freshOnPosix("it is 0600 before SQLite writes the first byte into it", async () => {
  const path = `${folder()}/kv.db`;
  const { openKv } = Deno;
  const seen: number[] = [];
  using _ = replace(Deno, "openKv", (...args) => {
    seen.push(modeOf(path), Deno.statSync(path).size);
    return openKv(...args);
  });
  const backend = new KvCredentialsBackend({ path });
  await backend.put(KEY, entry());
  await backend.close();
  assertEquals(seen, [0o600, 0]);
});

test.onPosix("one that others could read is refused, and its mode stays until the person closes it", async ({ backend, path, parent }) => {
  const kv = await Deno.openKv(path); // the user's own program, with the files beside it
  await kv.set(["own"], 1);
  for (const side of ["", "-wal", "-shm"]) {
    const file = `${path}${side}`;
    for (const [mode, verb] of [[0o644, "read"], [0o666, "write"]] as const) {
      Deno.chmodSync(file, mode);
      const words = [`${file}: others may ${verb} it`, `chmod 600 ${quoteArgument(file)}`];
      await rejectsWith("backend_denied", () => backend.get(KEY), ...words);
      assertEquals(modeOf(file), mode);
    }
    Deno.chmodSync(file, 0o600);
  }
  assertEquals(await backend.get(KEY), entry());
  for (const name of namesIn(parent)) assertEquals(modeOf(`${parent}/${name}`), 0o600, name);
  kv.close();
});

test.onPosix("one behind the person's own link is used by its own name", async ({ path, parent }) => {
  const link = `${folder()}/link.db`;
  Deno.symlinkSync(path, link);
  const linked = new KvCredentialsBackend({ path: link });
  assertEquals(await linked.get(KEY), entry());
  await linked.withLock(KEY, () => linked.put(OTHER, small("other")));
  await linked.close();
  assertEquals(namesIn(parent).filter((name) => name.endsWith(".lock")).length, 1);
});

/** A folder for all, in which somebody has planted a link. */
function planted(target: string): string {
  const shared = folder();
  Deno.chmodSync(shared, 0o1777);
  Deno.symlinkSync(target, `${shared}/kv.db`);
  return `${shared}/kv.db`;
}

test.freshOnPosix("a link that others can plant is not followed: a program and a database behind it stay as they are", async () => {
  const home = folder();
  const [program, database] = [`${home}/program`, `${home}/other.sqlite`];
  Deno.writeTextFileSync(program, "#!/bin/sh\n");
  Deno.chmodSync(program, 0o755);
  Deno.writeTextFileSync(database, "", { mode: 0o600 }); // which SQLite takes for one of its own
  for (const target of [program, database, `${home}/absent`]) {
    const backend = new KvCredentialsBackend({ path: planted(target) });
    for (const run of callsOf(backend)) {
      await rejectsWith("backend_denied", run, "others can write its folder (mode 1777)");
    }
  }
  assertEquals([modeOf(program), Deno.statSync(database).size], [0o755, 0]);
  assertEquals(namesIn(home), ["other.sqlite", "program"]);
});

test.freshOnPosix("nothing is made in a folder that others can write", async () => {
  const shared = folder();
  Deno.chmodSync(shared, 0o777);
  const backend = new KvCredentialsBackend({ path: `${shared}/kv.db` });
  for (const run of callsOf(backend)) await rejectsWith("backend_denied", run, "its folder");
  assertEquals(namesIn(shared), []);
});

test.asRoot("a link of another user is not followed, nor one in the folder of another", async ({ backend, path, parent }) => {
  const link = `${folder()}/link.db`;
  Deno.symlinkSync(path, link);
  await mustRun(["chown", "-h", "4711:4711", link]);
  const linked = new KvCredentialsBackend({ path: link });
  const words = [`${link}: it belongs to another user (uid 4711)`];
  await rejectsWith("backend_denied", () => linked.get(KEY), ...words);
  await mustRun(["chown", "-h", "0:0", link]);
  Deno.chownSync(link.replace("/link.db", ""), 4711, null);
  await rejectsWith("backend_denied", () => linked.get(KEY), "its folder belongs to another user");
  assertEquals([await backend.get(KEY), namesIn(parent)[0]], [entry(), "kv.db"]);
});

test.asRoot("one of which another user owns a file, or the folder, is not opened", async ({ backend, path, parent }) => {
  const before = Deno.readFileSync(path);
  for (const side of ["", ...SIDES]) {
    if (side !== "") Deno.writeTextFileSync(`${path}${side}`, "", { mode: 0o666 });
    Deno.chownSync(`${path}${side}`, 4711, null);
    const words = `${path}${side}: it belongs to another user (uid 4711)`;
    await rejectsWith("backend_denied", () => backend.get(KEY), words);
    await rejectsWith("backend_denied", () => backend.put(KEY, entry()), words);
    Deno.chownSync(`${path}${side}`, 0, null);
    if (side !== "") Deno.removeSync(`${path}${side}`);
  }
  Deno.chownSync(parent, 4711, null);
  const words = [path, "its folder belongs to another user (uid 4711)"];
  await rejectsWith("backend_denied", () => backend.get(KEY), ...words);
  assertEquals(Deno.readFileSync(path), before);
});

test.onPosix("one with a link or a pipe beside it is not opened, and its target not touched", async ({ backend, path }) => {
  const target = `${path}.target`;
  Deno.writeTextFileSync(target, "mine", { mode: 0o644 });
  for (const side of SIDES) {
    Deno.symlinkSync(target, `${path}${side}`);
    await rejectsWith("backend_denied", () => backend.get(KEY), `${path}${side}: it is a `);
    Deno.removeSync(`${path}${side}`);
    await makePipe(`${path}${side}`);
    await rejectsWith("backend_denied", () => backend.get(KEY), `${path}${side}: it is a `);
    Deno.removeSync(`${path}${side}`);
  }
  assertEquals([Deno.readTextFileSync(target), modeOf(target)], ["mine", 0o644]);
  const inFolder = new KvCredentialsBackend({ path: folder() });
  await rejectsWith("backend_denied", () => inFolder.get(KEY), inFolder.path, "it is a folder");
});

test.onPosix("a file that another process's SQLite removes beside the look at it is no trouble", async ({ backend, path }) => {
  Deno.writeTextFileSync(`${path}-journal`, "", { mode: 0o600 });
  const { lstatSync } = Deno;
  using _ = replace(Deno, "lstatSync", (file) => {
    const info = lstatSync(file);
    if (String(file).endsWith("-journal")) Deno.removeSync(file);
    return info;
  });
  assertEquals(await backend.get(KEY), entry());
});

test.onPosix("one in a folder that others can write is refused, and its mode stays", async ({ backend, path, parent }) => {
  Deno.chmodSync(path, 0o644);
  for (const mode of [0o777, 0o770, 0o1777]) {
    Deno.chmodSync(parent, mode);
    const words = [path, `others can write its folder (mode ${mode.toString(8)})`];
    await rejectsWith("backend_denied", () => backend.get(KEY), ...words);
    assertEquals(modeOf(path), 0o644);
  }
  Deno.chmodSync(parent, 0o700);
});

test.onLinux("one that is open in this process keeps the locks that SQLite has on it", async ({ backend, path }) => {
  await backend.put(KEY, entry());
  const locks = () => {
    const inode = `:${Deno.statSync(path).ino} `;
    const all = Deno.readTextFileSync("/proc/locks").split("\n");
    return all.filter((line) => line.includes(inode)).length;
  };
  const before = locks();
  const other = new KvCredentialsBackend({ path });
  assertEquals(await other.get(KEY), entry());
  assert(before > 0 && locks() >= before, `${before}, ${locks()}`);
  await other.close();
  assertEquals(locks() >= before, true);
});

test.denied("without permission the error names the flags", async () => {
  const words = ["--allow-read=/elsewhere", "--allow-write=/elsewhere"];
  const runs = callsOf(new KvCredentialsBackend({ path: "/elsewhere/kv.db" }));
  for (const run of runs) await rejectsWith("permission_required", run, ...words);
});

const FAULTS: [error: unknown, code: CredentialsBackendErrorCode, words: string][] = [
  [new TypeError("database is locked"), "backend_locked", "keeps writing"],
  [new Error("file is not a database"), "backend_corrupt", "not a valid"],
  [new Error("table kv already exists in create table kv"), "backend_denied", "another program"],
  [new Error("database disk image is malformed"), "backend_corrupt", "not a valid"],
  [new Error("disk I/O error"), "backend_unavailable", "disk I/O error"],
  [new TypeError("database or disk is full"), "backend_full", "Free some space"],
  [new Error("Disk quota exceeded (os error 122): open 'x'"), "backend_full", "no space"],
  [new Error("unable to open database file"), "backend_denied", "the system denies"],
  [new Deno.errors.PermissionDenied("x"), "backend_denied", "denies it"],
  [new Error("other"), "backend_unavailable", "Error"],
];

for (const [fault, code, words] of FAULTS) {
  test.fresh(`trouble of SQLite is ${code}: ${(fault as Error).message}`, async () => {
    let tries = 0;
    using _ = replace(Deno, "openKv", () => {
      tries++;
      return Promise.reject(fault);
    });
    const path = `${folder()}/kv.db`;
    const backend = new KvCredentialsBackend({ path, lockTimeoutMs: 0 });
    await rejectsWith(code, () => backend.get(KEY), `Cannot open ${path}: `, words);
    assertEquals(tries > 1, code === "backend_locked"); // that passes
  });
}

test.fresh("one that another program locks for a moment is tried again", async () => {
  const { openKv } = Deno;
  // At the first opening of a file by several processes it is no TypeError.
  const faults = [new Error("database is locked"), new TypeError("database table is locked")];
  using _ = replace(Deno, "openKv", (...args) => {
    const fault = faults.pop();
    return fault === undefined ? openKv(...args) : Promise.reject(fault);
  });
  const backend = new KvCredentialsBackend({ path: `${folder()}/kv.db` });
  await backend.put(KEY, entry());
  await backend.close();
});

test("a row that is no entry is backend_corrupt, and can be replaced", async ({ backend, path }) => {
  await backend.put(OTHER, small("other"));
  const kv = await Deno.openKv(path);
  const row = ["validmind", "oidc", KEY];
  for (const value of [entry().access_token, 1, true, [entry()]]) {
    await kv.set(row, value);
    const words = [path, `"${KEY}" is damaged`, "clearOidcCredentials"];
    await rejectsWith("backend_corrupt", () => backend.get(KEY), ...words);
    await backend.put(KEY, entry());
    assertEquals([await backend.get(KEY), await backend.get(OTHER)], [entry(), small("other")]);
    await kv.set(row, value);
    await backend.delete(KEY);
    assertEquals(await backend.get(KEY), undefined);
  }
  await kv.set([...row.slice(0, 2), "odd\x1b[31m"], 1);
  await rejectsWith("backend_corrupt", () => backend.get("odd\x1b[31m"), '"odd [31m" is damaged');
  await backend.delete("odd\x1b[31m");
  await kv.set(row, null);
  assertEquals(await backend.get(KEY), undefined);
  assertEquals(await Array.fromAsync(backend.list()), [OTHER]);
  kv.close();
});

test.bySystem("what the system denies is backend_denied", async ({ path, parent }) => {
  const code = `
    import { KvCredentialsBackend } from "${backendUrl("kv.ts")}";
    const codeOf = async (path, method) => {
      const backend = new KvCredentialsBackend({ path });
      const entry = { issuer: "i", client_id: "c", access_token: "t" };
      try {
        await backend[method]("k", entry);
        return "ok";
      } catch (error) {
        return error.code;
      } finally {
        await backend.close();
      }
    };
    const seen = [];
    for (const [path, ofFolder, ofFile] of [
      ["${path}", 0o000, 0o600], ["${path}", 0o500, 0o600], ["${parent}/new.db", 0o500, 0o600],
      ["${path}", 0o700, 0o400], ["${path}", 0o700, 0o000],
    ]) {
      Deno.chmodSync("${path}", ofFile);
      Deno.chmodSync("${parent}", ofFolder);
      seen.push(await codeOf(path, "get"), await codeOf(path, "put"));
      Deno.chmodSync("${parent}", 0o700);
    }
    console.log(JSON.stringify(seen));
  `;
  const expected = Array(10).fill("backend_denied").with(6, "ok"); // which may be read
  assertEquals(await runDenied(code), expected);
});

test.onPosix("one whose file or folder was removed while it was open is an error, and no success", async ({ backend, path, parent }) => {
  for (const removed of [path, parent]) {
    await backend.put(KEY, entry());
    Deno.renameSync(removed, `${removed}.moved`);
    for (const run of callsOf(backend).slice(0, 4)) {
      await rejectsWith("backend_unavailable", run, path, "was removed or replaced");
    }
    Deno.renameSync(`${removed}.moved`, removed);
    assertEquals(await backend.get(KEY), undefined); // nothing was stored in secret: the delete counts
  }
});

test.onPosix("deleteAll removes it with the files beside it, and leaves a link usable", async ({ backend, path, parent }) => {
  Deno.symlinkSync(path, `${parent}/link`);
  const linked = new KvCredentialsBackend({ path: `${parent}/link` });
  const reader = new KvCredentialsBackend({ path });
  await linked.put(OTHER, entry());
  assertEquals((await Array.fromAsync(reader.list())).length, 2);
  await linked.deleteAll();
  assertEquals([await linked.get(KEY), await linked.get(OTHER)], [undefined, undefined]);
  await rejectsWith("backend_unavailable", () => reader.get(KEY), "was removed or replaced");
  for (const open of [linked, reader]) await open.close();
  await backend.deleteAll();
  await backend.deleteAll(); // nothing is there
  const locks = (name: string) => name.endsWith(".lock");
  assertEquals(namesIn(parent).filter((name) => !locks(name)), ["link"]);
});

test.onPosix("deleteAll leaves a file that is no database", async ({ backend, path }) => {
  Deno.writeTextFileSync(path, "a letter");
  await rejectsWith("backend_denied", () => backend.deleteAll(), path, "it is not a database");
  assertEquals(Deno.readTextFileSync(path), "a letter");
  Deno.writeTextFileSync(path, "");
  using _ = replace(Deno, "removeSync", () => {
    throw new Deno.errors.PermissionDenied("denied");
  });
  await rejectsWith("backend_denied", () => backend.deleteAll(), `Cannot remove ${path}`);
});

test.freshOnPosix("deleteAll leaves files with the names of SQLite's where there is no database", async () => {
  const path = `${folder()}/work`;
  for (const mode of [0o644, 0o600]) {
    for (const side of SIDES) Deno.writeTextFileSync(`${path}${side}`, "a letter", { mode });
    await new KvCredentialsBackend({ path }).deleteAll();
    for (const side of SIDES) assertEquals(Deno.readTextFileSync(`${path}${side}`), "a letter");
    for (const side of SIDES) Deno.removeSync(`${path}${side}`);
  }
});

test.onPosix("deleteAll removes nothing where a file beside it is not closed to others", async ({ backend, path, parent }) => {
  for (const side of SIDES) {
    Deno.writeTextFileSync(`${path}${side}`, "a letter");
    Deno.chmodSync(`${path}${side}`, 0o644);
    const before = namesIn(parent);
    const words = `${path}${side}: others may read it`;
    await rejectsWith("backend_denied", () => backend.deleteAll(), words);
    assertEquals(namesIn(parent), before);
    Deno.removeSync(`${path}${side}`);
  }
});

test.onLinux("deleteAll judges a file by its begin, however long it is", async ({ backend, path }) => {
  const longerThanAText = 2 ** 29;
  Deno.truncateSync(path, longerThanAText);
  await backend.deleteAll();
  Deno.writeFileSync(path, new Uint8Array(1), { mode: 0o600 });
  Deno.truncateSync(path, longerThanAText);
  await rejectsWith("backend_denied", () => backend.deleteAll(), path, "it is not a database");
  assertEquals(Deno.statSync(path).size, longerThanAText);
});

test.onPosix("a store that is refused, or not to be opened, leaves its neighbours", async ({ backend, path, parent }) => {
  Deno.writeTextFileSync(`${path}.tmp`, "a letter");
  const before = namesIn(parent);
  Deno.chmodSync(path, 0o644);
  const { openSync } = Deno;
  const made: string[] = [];
  using _open = replace(Deno, "openSync", (file, options) => {
    const opened = openSync(file, options);
    if (options?.createNew) made.push(String(file));
    return opened;
  });
  await rejectsWith("backend_denied", () => backend.get(KEY), "others may read it");
  assertEquals(made, []);
  Deno.chmodSync(path, 0o600);
  using _kv = replace(Deno, "openKv", () => Promise.reject(new Error("disk I/O error")));
  await rejectsWith("backend_unavailable", () => backend.get(KEY), "disk I/O error");
  assertEquals([namesIn(parent), Deno.readTextFileSync(`${path}.tmp`)], [before, "a letter"]);
});

test.fresh("one in memory that cannot be opened writes no file", async () => {
  using _open = replace(Deno, "openSync", (file) => {
    throw new Error(`opened ${file}`);
  });
  const removed: string[] = [];
  using _remove = replace(Deno, "removeSync", (file) => void removed.push(String(file)));
  using _kv = replace(Deno, "openKv", () => Promise.reject(new Error("disk I/O error")));
  const backend = new KvCredentialsBackend({ path: ":memory:" });
  await rejectsWith("backend_unavailable", () => backend.get(KEY), "disk I/O error");
  assertEquals(removed, []);
});

test.mounted("a write on a full disk is backend_full, and what was stored is kept", async () => {
  const mounted = folder();
  const code = `
    import { KvCredentialsBackend } from "${backendUrl("kv.ts")}";
    const make = () => new KvCredentialsBackend({ path: "${mounted}/kv.db" });
    const fill = () => {
      const file = Deno.openSync("${mounted}/fill", { append: true, create: true });
      try {
        for (const size of [4096, 1]) {
          try {
            for (;;) file.writeSync(new Uint8Array(size));
          } catch { /* full */ }
        }
      } finally {
        file.close();
      }
    };
    const entry = { issuer: "i", client_id: "c", access_token: "t" };
    const put = (backend, fill) =>
      backend.put("k", { ...entry, fill }).then(() => "ok", (error) => error.code);
    const seen = [];
    const first = make();
    seen.push(await put(first, ""));
    fill();
    seen.push(await put(first, "x".repeat(60_000)));
    seen.push(await first.delete("k").then(() => "ok", (error) => [error.code, error.remedy]));
    await first.close();
    seen.push(await make().get("k").catch((error) => error.code));
    Deno.removeSync("${mounted}/fill");
    const second = make();
    seen.push((await second.get("k")).fill, await put(second, "again"));
    await second.close();
    console.log(JSON.stringify(seen));
  `;
  const [stored, full, signOut, ...seen] = await runMounted(mounted, code, 700) as unknown[];
  assertEquals([stored, full], ["ok", "backend_full"]);
  const [signOutCode, remedy] = signOut as string[];
  assertEquals([signOutCode, remedy!.includes("by hand")], ["backend_full", true]);
  const isRead = seen[0] !== "backend_full";
  if (isRead) assertEquals((seen[0] as { fill: string }).fill, "");
  assertEquals(seen.slice(1), ["", "ok"]);
});
