import { assert, assertEquals } from "@std/assert";
import { DatabaseFile } from "../../../backends/kv/connect.ts";
import { KvCredentialsBackend } from "../../../backends/kv.ts";
import { backendUrl, runDeno } from "../../support/deno_process.ts";
import { entry, KEY } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { runDenied, runMounted, whyNoDenial, whyNoMount } from "../../support/run_denied.ts";
import { isPosix, makePipe, modeOf, namesIn, sandbox } from "../../support/sandbox.ts";

const { folder } = sandbox();
const SIDES = ["-journal", "-wal", "-shm"];
const whyNoOwner = isPosix && Deno.uid() === 0 ? undefined : "only root can give a file away";

/** A store that was used, with its files. */
async function used(): Promise<string> {
  const path = `${folder()}/kv.db`;
  const backend = new KvCredentialsBackend({ path });
  await backend.put(KEY, entry());
  await backend.close();
  return path;
}

/** Uses the store, and runs `act` between the check of its files and SQLite's look at them. */
async function whileOpening(path: string, act: () => void): Promise<void> {
  const { openKv } = Deno;
  const replace = (value: typeof openKv) => Object.defineProperty(Deno, "openKv", { value });
  replace((...args) => {
    act();
    return openKv(...args);
  });
  try {
    const backend = new KvCredentialsBackend({ path });
    await backend.put(KEY, entry());
    await backend.close();
  } finally {
    replace(openKv);
  }
}

for (const side of ["", ...SIDES]) {
  Deno.test({
    name: `a KV database of which another user owns the file "kv.db${side}" is not opened` +
      (whyNoOwner ? ` (ignored: ${whyNoOwner})` : ""),
    ignore: whyNoOwner !== undefined,
    async fn() {
      const path = await used();
      if (side !== "") Deno.writeTextFileSync(`${path}${side}`, "", { mode: 0o666 });
      Deno.chownSync(`${path}${side}`, 4711, null);
      const before = Deno.readFileSync(path);
      const backend = new KvCredentialsBackend({ path });
      const words = [`${path}${side}: it belongs to another user (uid 4711)`];
      await rejectsWith("backend_denied", () => backend.get(KEY), ...words);
      await rejectsWith("backend_denied", () => backend.put(KEY, entry()), ...words);
      assertEquals(Deno.readFileSync(path), before);
    },
  });

  Deno.test({
    name: `a link or a pipe in the place of the file "kv.db${side}" is not opened`,
    ignore: !isPosix || side === "",
    async fn() {
      const path = await used();
      const target = `${path}.target`;
      Deno.writeTextFileSync(target, "mine", { mode: 0o644 });
      Deno.symlinkSync(target, `${path}${side}`);
      const backend = new KvCredentialsBackend({ path });
      await rejectsWith("backend_denied", () => backend.get(KEY), `${path}${side}: it is a `);
      assertEquals([Deno.readTextFileSync(target), modeOf(target)], ["mine", 0o644]);
      Deno.removeSync(`${path}${side}`);
      await makePipe(`${path}${side}`);
      await rejectsWith("backend_denied", () => backend.get(KEY), `${path}${side}: it is a `);
    },
  });
}

Deno.test({
  name: "nobody can plant a file beside a KV database after its files were checked",
  ignore: !isPosix,
  async fn() {
    const path = await used();
    const found: unknown[] = [];
    await whileOpening(path, () => {
      for (const side of ["-wal", "-shm"]) found.push(modeOf(`${path}${side}`));
    });
    assertEquals(found, [0o600, 0o600]);
    const backend = new KvCredentialsBackend({ path });
    assertEquals(await backend.get(KEY), entry());
    await backend.close();
  },
});

Deno.test({
  name:
    "the files of a KV database that the user's own program opened first are closed, and it is told",
  ignore: !isPosix,
  async fn() {
    const parent = folder();
    const path = `${parent}/kv.db`;
    const kv = await Deno.openKv(path);
    await kv.set(["own"], 1);
    for (const side of ["", "-wal", "-shm"]) Deno.chmodSync(`${path}${side}`, 0o644);
    const code = `
      import { KvCredentialsBackend } from "${backendUrl("kv.ts")}";
      const backend = new KvCredentialsBackend({ path: ${JSON.stringify(path)} });
      await backend.get("k");
      await backend.close();
    `;
    const flags = ["--unstable-kv", `--allow-read=${parent}`, `--allow-write=${parent}`];
    const { stdout, stderr } = await runDeno({ code, flags });
    assertEquals(stdout, "");
    assert(stderr.includes(`${path} could be read by others on this host (mode 644)`), stderr);
    for (const name of namesIn(parent)) assertEquals(modeOf(`${parent}/${name}`), 0o600, name);
    kv.close();
  },
});

Deno.test({
  name: "a link to a KV database leads to it, and does not have its mode changed",
  ignore: !isPosix,
  async fn() {
    const path = await used();
    const link = `${folder()}/link.db`;
    Deno.symlinkSync(path, link);
    const backend = new KvCredentialsBackend({ path: link });
    assertEquals(await backend.get(KEY), entry());
    await backend.close();
    Deno.chmodSync(path, 0o644);
    await rejectsWith("backend_denied", () => backend.get(KEY), path, "mode 644", "a link leads");
    assertEquals(modeOf(path), 0o644);
  },
});

Deno.test({
  name: "a database that is open in this process keeps the locks that SQLite has on it",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const path = `${folder()}/kv.db`;
    const backend = new KvCredentialsBackend({ path });
    await backend.put(KEY, entry());
    const locks = () => {
      const inode = `:${Deno.statSync(path).ino} `;
      const all = Deno.readTextFileSync("/proc/locks").split("\n");
      return all.filter((line) => line.includes(inode)).length;
    };
    const before = locks();
    new DatabaseFile(path);
    assertEquals([before > 0, locks()], [true, before]);
    await backend.close();
  },
});

Deno.test({
  name: whyNoMount
    ? `a KV database on a full disk is read, and a write is backend_full (ignored: ${whyNoMount})`
    : "a KV database on a full disk is read, and a write is backend_full",
  ignore: whyNoMount !== undefined,
  async fn() {
    const mounted = folder();
    const code = `
      import { KvCredentialsBackend } from "${backendUrl("kv.ts")}";
      const path = "${mounted}/kv.db";
      const make = () => new KvCredentialsBackend({ path });
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
      const codeOf = (run) => run().then(() => "ok", (error) => error.code + ": " + error.message);
      const entry = { issuer: "i", client_id: "c", access_token: "t".repeat(9000) };
      const seen = [];
      const large = { ...entry, x: "y".repeat(70_000) };
      const first = make();
      seen.push(await codeOf(() => first.put("k", entry)));
      seen.push(await codeOf(() => first.put("large", large)));
      await first.close();
      // SQLite removes its files some time after.
      for (let n = 0; n < 400 && [...Deno.readDirSync("${mounted}")].length > 1; n++) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      fill();
      const isRead = async (key, wanted) => {
        const found = JSON.stringify(await make().get(key));
        if (found !== JSON.stringify(wanted)) throw new Error("lost");
      };
      seen.push(await codeOf(() => isRead("k", entry)));
      seen.push(await codeOf(() => isRead("large", large)));
      seen.push(await codeOf(() => make().get("other")));
      seen.push(await codeOf(() => make().put("k", entry)));
      Deno.removeSync("${mounted}/fill");
      const second = make();
      seen.push(await codeOf(() => second.get("k")));
      fill();
      seen.push(await codeOf(() => second.put("k", { ...entry, x: "x".repeat(100_000) })));
      Deno.removeSync("${mounted}/fill");
      seen.push(await codeOf(async () => {
        if ((await second.get("k"))?.access_token !== entry.access_token) throw new Error("lost");
      }));
      await second.close();
      console.log(JSON.stringify(seen));
    `;
    const seen = await runMounted(mounted, code, 700) as string[];
    const codes = seen.map((text) => text.split(":")[0]);
    const onFullDisk = ["ok", "ok", "backend_full", "backend_full"];
    const expected = ["ok", "ok", ...onFullDisk, "ok", "backend_full", "ok"];
    assertEquals(codes, expected, seen.join("\n"));
  },
});

Deno.test({
  name: whyNoDenial
    ? `a KV database in a folder that may not be written is backend_denied (ignored: ${whyNoDenial})`
    : "a KV database in a folder that may not be written is backend_denied",
  ignore: whyNoDenial !== undefined,
  async fn() {
    const path = await used();
    const parent = path.replace("/kv.db", "");
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
      for (const [path, mode] of [["${path}", 0o500], ["${parent}/new.db", 0o500]]) {
        Deno.chmodSync("${parent}", mode);
        seen.push(await codeOf(path, "get"), await codeOf(path, "put"));
      }
      Deno.chmodSync("${parent}", 0o700);
      Deno.chmodSync("${path}", 0o400);
      seen.push(await codeOf("${path}", "put"));
      Deno.chmodSync("${path}", 0o000);
      seen.push(await codeOf("${path}", "put"));
      console.log(JSON.stringify(seen));
    `;
    assertEquals(await runDenied(code), Array(6).fill("backend_denied"));
  },
});
