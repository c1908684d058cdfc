import { assertEquals } from "@std/assert";
import { secureDatabase } from "../../../backends/kv/connect.ts";
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

for (const side of ["", ...SIDES]) {
  Deno.test(
    `a KV database of which another user owns the file "kv.db${side}" is not opened` +
      (whyNoOwner ? ` (ignored: ${whyNoOwner})` : ""),
    { ignore: whyNoOwner !== undefined },
    async () => {
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
  );

  Deno.test(`a link or a pipe in the place of the file "kv.db${side}" is not opened`, {
    ignore: !isPosix || side === "",
  }, async () => {
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
  });
}

Deno.test("the files of a KV database that the user's own program opened first are closed", {
  ignore: !isPosix,
}, async () => {
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
  assertEquals([stdout, stderr], ["", ""]);
  for (const name of namesIn(parent)) assertEquals(modeOf(`${parent}/${name}`), 0o600, name);
  kv.close();
});

Deno.test("a KV database in a folder that others can write is refused, and its mode stays", {
  ignore: !isPosix,
}, async () => {
  const path = await used();
  const parent = path.replace("/kv.db", "");
  Deno.chmodSync(path, 0o644);
  for (const mode of [0o777, 0o770, 0o1777]) {
    Deno.chmodSync(parent, mode);
    const words = [path, `others can write its folder (mode ${mode.toString(8)})`];
    await rejectsWith(
      "backend_denied",
      () => new KvCredentialsBackend({ path }).get(KEY),
      ...words,
    );
    assertEquals(modeOf(path), 0o644);
  }
  Deno.chmodSync(parent, 0o700);
});

Deno.test(
  "a KV database in the folder of another user is refused" +
    (whyNoOwner ? ` (ignored: ${whyNoOwner})` : ""),
  { ignore: whyNoOwner !== undefined },
  async () => {
    const path = await used();
    Deno.chownSync(path.replace("/kv.db", ""), 4711, null);
    const words = [path, "its folder belongs to another user (uid 4711)"];
    await rejectsWith(
      "backend_denied",
      () => new KvCredentialsBackend({ path }).get(KEY),
      ...words,
    );
  },
);

Deno.test("a link to a KV database leads to it, and it is closed by its own name", {
  ignore: !isPosix,
}, async () => {
  const path = await used();
  const link = `${folder()}/link.db`;
  Deno.symlinkSync(path, link);
  const backend = new KvCredentialsBackend({ path: link });
  assertEquals(await backend.get(KEY), entry());
  await backend.close();
  Deno.chmodSync(path, 0o644);
  assertEquals(await backend.get(KEY), entry());
  assertEquals(modeOf(path), 0o600);
  await backend.close();
});

Deno.test("a database that is open in this process keeps the locks that SQLite has on it", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  const path = `${folder()}/kv.db`;
  const backend = new KvCredentialsBackend({ path });
  await backend.put(KEY, entry());
  const locks = () => {
    const inode = `:${Deno.statSync(path).ino} `;
    const all = Deno.readTextFileSync("/proc/locks").split("\n");
    return all.filter((line) => line.includes(inode)).length;
  };
  const before = locks();
  secureDatabase(path);
  assertEquals([before > 0, locks()], [true, before]);
  await backend.close();
});

Deno.test(
  whyNoMount
    ? `a write to a KV database on a full disk is backend_full (ignored: ${whyNoMount})`
    : "a write to a KV database on a full disk is backend_full, and what was stored is kept",
  { ignore: whyNoMount !== undefined },
  async () => {
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
      await first.close();
      seen.push(await make().get("k").catch((error) => error.code));
      Deno.removeSync("${mounted}/fill");
      const second = make();
      seen.push((await second.get("k")).fill, await put(second, "again"));
      await second.close();
      console.log(JSON.stringify(seen));
    `;
    const seen = await runMounted(mounted, code, 700) as unknown[];
    const read = seen[2] === "backend_full" ? "backend_full" : { ...seen[2] as object };
    assertEquals(seen, ["ok", "backend_full", read, "", "ok"]);
  },
);

Deno.test(
  whyNoDenial
    ? `a KV database in a folder that may not be written is backend_denied (ignored: ${whyNoDenial})`
    : "a KV database in a folder that may not be written is backend_denied",
  { ignore: whyNoDenial !== undefined },
  async () => {
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
);
