import { assertEquals } from "@std/assert";
import { provesWrites } from "../../backends/common/probe.ts";
import { KvCredentialsBackend } from "../../backends/kv.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { sandbox } from "../support/sandbox.ts";

const { folder, permissions } = sandbox();
const nothing = () => Promise.resolve();

/** Runs a test with backends of one database, and the database itself, at each kind of place. */
function test(
  name: string,
  fn: (open: (lockTimeoutMs?: number) => KvCredentialsBackend, path: string) => Promise<void>,
  places: readonly string[] = [":memory:", "file"],
): void {
  for (const place of places) {
    Deno.test(`kv (${place}): ${name}`, { permissions }, async () => {
      const path = place === "file" ? `${folder()}/deep/er/kv.db` : place;
      const opened: KvCredentialsBackend[] = [];
      const open = (lockTimeoutMs = 30_000) => {
        opened.push(new KvCredentialsBackend({ path, lockTimeoutMs }));
        return opened.at(-1)!;
      };
      try {
        await fn(open, path);
      } finally {
        for (const backend of opened) await backend.close();
      }
    });
  }
}

test("an entry over 64 KiB, or a key over 2 KiB, is backend_too_large, and the old is kept", async (open) => {
  const backend = open();
  await backend.put(KEY, entry());
  for (const size of [65_536, 2_000_000]) {
    const large = entry({ x_fill: "f".repeat(size) });
    await rejectsWith("backend_too_large", () => backend.put(KEY, large), "64 KiB");
    assertEquals(await backend.get(KEY), entry());
  }
  const long = "k".repeat(2048);
  await rejectsWith("backend_too_large", () => backend.put(long, entry()), "its key");
});

test("one that could not be opened tries again", async (open, path) => {
  const parent = path.replace("/deep/er/kv.db", "");
  Deno.writeTextFileSync(`${parent}/deep`, "");
  const backend = open();
  await rejectsWith("backend_unavailable", () => backend.get(KEY), "Cannot open");
  Deno.removeSync(`${parent}/deep`);
  assertEquals(await backend.get(KEY), undefined);
}, ["file"]);

test("a lock excludes its key alone, is waited for up to the limit, and is no entry", async (open) => {
  const one = open(30);
  await one.put(OTHER, entry());
  for (const holder of [one, one.persistent ? open(30) : one]) {
    await one.withLock(KEY, async () => {
      await rejectsWith("backend_locked", () => holder.withLock(KEY, nothing), "30 ms");
      await holder.withLock(OTHER, () => holder.put(KEY, entry()));
      assertEquals((await Array.fromAsync(one.list())).sort(), [KEY, OTHER]);
    });
    assertEquals(await holder.withLock(KEY, () => holder.get(KEY)), entry());
  }
});

test("a lock ends its wait by what peek sees", async (open) => {
  const [one, other] = [open(), open()];
  const peek = () => "seen";
  const seen = () => other.withLock(KEY, () => Promise.resolve("run"), { peek });
  assertEquals(await one.withLock(KEY, seen), "seen");
}, ["file"]);

Deno.test("kv: it says where entries are, and whether they last", { permissions: "none" }, () => {
  const where = (path?: string) => {
    const { persistent, location } = new KvCredentialsBackend(path === undefined ? {} : { path });
    return [persistent, location];
  };
  assertEquals(where(), [false, "a Deno KV database in the memory of this process"]);
  assertEquals(where(":memory:"), where());
  assertEquals(where("/data/kv.db"), [true, "/data/kv.db"]);
  assertEquals(where("https://kv.example.com/x"), [true, "https://kv.example.com/x"]);
  const proves = ["/data/kv.db", "https://kv.example.com/x"].map((path) =>
    provesWrites(new KvCredentialsBackend({ path }))
  );
  assertEquals(proves, [false, true]);
  const needs = (path: string) => new KvCredentialsBackend({ path }).requiredPermissions();
  assertEquals(needs(":memory:"), []);
  const folder = { path: "/data" };
  assertEquals(needs("/data/kv.db"), [{ name: "read", ...folder }, { name: "write", ...folder }]);
  assertEquals(needs("https://kv.example.com/x"), [
    { name: "net", host: "kv.example.com:443" },
    { name: "env", variable: "DENO_KV_ACCESS_TOKEN" },
  ]);
});
