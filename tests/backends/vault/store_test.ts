import { assertEquals } from "@std/assert";
import { hashOf } from "../../../backends/common/printable.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
import { json } from "../../support/http_server.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { ScriptedVault } from "./scripted_vault.ts";

const permissions = "none";

function test(name: string, fn: () => void | Promise<void>): void {
  Deno.test(name, { permissions }, fn);
}
const NAME = await hashOf(KEY);

for (
  const [what, mount, words] of [
    ["of KV 1", { type: "kv", path: "secret/", options: null }, [
      "version 1.",
      "Run: vault kv enable-versioning secret/",
    ]],
    ["of the old kind", { type: "generic", path: "secret/" }, ["enable-versioning secret/"]],
    ["of another engine", { type: "cubbyhole", path: "secret/" }, [
      '"secret" is not the mount',
      "Give the mount alone",
    ]],
    ["with a part of the path", { type: "kv", path: "se/", options: { version: "2" } }, ['"path"']],
    ["that Vault says nothing of", null, ['"secret" is not the mount', "Give the mount alone"]],
  ] as const
) {
  test(`a mount ${what} is refused, and nothing is asked of it`, async () => {
    const vault = new ScriptedVault();
    vault.mount = mount;
    await rejectsWith("invalid_options", () => vault.open(), ...words);
    assertEquals(vault.asked(), ["GET sys/internal/ui/mounts/secret"]);
  });
}

test("an entry is kept in one version, under the hash of its key, and read and removed again", async () => {
  const vault = new ScriptedVault();
  const store = await vault.open();
  vault.asked();
  await store.put(KEY, entry());
  assertEquals(vault.asked(), ["GET data", "POST metadata", "POST data"]);
  await store.delete(KEY);
  assertEquals(vault.asked(), ["DELETE metadata"]);
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // FIPS 180-2
  assertEquals(await hashOf("abc"), abc);
});

test("a mount that nothing is said of is trouble, and no wrong option", async () => {
  const vault = new ScriptedVault();
  vault.before = () => json({ errors: ["no handler"] }, 404);
  await rejectsWith("backend_unavailable", () => vault.open(), "status 404 (no handler)");
});

test("a removal that Vault does not confirm is an error", async () => {
  const vault = new ScriptedVault();
  const store = await vault.open();
  await store.put(KEY, entry());
  vault.before = ({ method }) => method === "DELETE" ? json({ errors: ["no"] }, 400) : undefined;
  await rejectsWith("backend_unavailable", () => store.delete(KEY), "status 400 (no)");
  await rejectsWith("backend_unavailable", () => store.deleteAll(), "status 400");
  vault.before = ({ method }) =>
    method === "DELETE" ? new Response(null, { status: 404 }) : undefined;
  await rejectsWith("backend_unavailable", () => store.delete(KEY), "status 404");
});

test("a removal of all takes entries and leases, and leaves what is not this module's", async () => {
  const vault = new ScriptedVault();
  const store = await vault.open();
  await store.withLock(KEY, () => store.put(KEY, entry()), {});
  for (const name of ["notes", "notes.lock", NAME.toUpperCase()]) {
    vault.secrets.set(`users/anna/${name}`, { data: {}, version: 1 });
  }
  assertEquals(await Array.fromAsync(store.list()), [KEY]);
  await store.deleteAll();
  const left = ["notes", "notes.lock", NAME.toUpperCase()].map((name) => `users/anna/${name}`);
  assertEquals([...vault.secrets.keys()], left);
});

test("a write that meets another one is done over it, and with isReplaced not", async () => {
  const vault = new ScriptedVault();
  const [store, other] = [await vault.open(), await vault.open()];
  await store.put(KEY, entry());
  let isMet = false;
  vault.before = async ({ method, path }) => {
    if (method !== "POST" || !path.endsWith(`data/users/anna/${NAME}`) || isMet) return;
    isMet = true;
    await other.put(KEY, entry({ access_token: "theirs" }));
  };
  const isReplaced = (stored?: { access_token: string }) =>
    stored?.access_token === entry().access_token;
  await store.put(KEY, entry({ x: 1 }), { isReplaced });
  assertEquals(await store.get(KEY), entry({ access_token: "theirs" }));
  isMet = false;
  await store.put(KEY, entry({ x: 2 }));
  assertEquals(await store.get(KEY), entry({ x: 2 }));
  assertEquals(vault.clock.delays.length, 2);
});

test("under a lock that was lost, a new tokens' write goes by the entry, and others fail", async () => {
  const vault = new ScriptedVault();
  const store = await vault.open();
  const isReplaced = (stored?: { access_token: string }) =>
    stored?.access_token === entry().access_token;
  await store.put(KEY, entry());
  await store.withLock(KEY, async () => {
    const lock = `users/anna/${NAME}.lock`;
    vault.secrets.set(lock, { data: { holder: "other" }, version: 2 });
    await rejectsWith("backend_locked", () => store.put(KEY, entry()), "the lock was lost");
    await rejectsWith("backend_locked", () => store.delete(KEY), "the lock was lost");
    await store.put(OTHER, entry()); // whose lock is not concerned
    await store.put(KEY, entry({ access_token: "rotated" }), { isReplaced });
    assertEquals((await store.get(KEY))?.access_token, "rotated");
    await store.put(KEY, entry(), { isReplaced });
    assertEquals((await store.get(KEY))?.access_token, "rotated");
  }, {});
  await store.put(KEY, entry()); // outside a lock there is nothing to lose
});

test("a write that stands still while a later holder writes fails, too", async () => {
  const vault = new ScriptedVault();
  const [store, later] = [await vault.open(), await vault.open()];
  let isMet = false;
  vault.before = async ({ method, path }) => {
    if (isMet || method !== "POST" || !path.endsWith(`data/users/anna/${NAME}`)) return;
    isMet = true; // the lease was looked at, and the write is on its way
    await later.withLock(KEY, () => later.put(KEY, entry({ x_theirs: true })), {});
  };
  await store.withLock(KEY, async () => {
    await rejectsWith("backend_locked", () => store.put(KEY, entry()), "the lock was lost");
  }, {});
  assertEquals(await store.get(KEY), entry({ x_theirs: true }));
});

test("a lock proves that Vault can be written, and its lease stays free and without a secret", async () => {
  const vault = new ScriptedVault();
  const store = await vault.open();
  vault.asked();
  await store.withLock(KEY, () => Promise.resolve(), {});
  assertEquals(vault.asked(), ["GET data lock", "POST data lock", "POST data lock"]);
  assertEquals([...vault.secrets.values()], [{ data: { holder: "" }, version: 2 }]);
  vault.before = ({ method }) => method === "POST" ? json({ errors: ["denied"] }, 403) : undefined;
  let hasRun = false;
  const run = () => Promise.resolve(hasRun = true);
  const lock = () => store.withLock(KEY, run, {});
  const words = ["create and update of secret/data/users/anna/", " (denied). Have them allow"];
  await rejectsWith("backend_denied", lock, ...words);
  assertEquals(hasRun, false);
});

test("a secret of another program is backend_corrupt, and names the way out", async () => {
  const vault = new ScriptedVault();
  const store = await vault.open();
  for (
    const data of [
      {},
      { key: KEY, entry: "{" },
      { key: KEY, entry: "[]" },
      { key: OTHER, entry: "{}" },
      { key: 5, entry: "{}" },
    ]
  ) {
    vault.secrets.set(`users/anna/${NAME}`, { data, version: 1 });
    const words = [`secret/users/anna/${NAME}`, "clearOidcCredentials()"];
    await rejectsWith("backend_corrupt", () => store.get(KEY), ...words);
    await rejectsWith("backend_corrupt", () => Array.fromAsync(store.list()), ...words);
  }
  vault.secrets.set(`users/anna/${NAME}`, { data: null, version: 0 });
  const soft = json({ data: { data: null, metadata: { version: 3 } } }, 404);
  vault.before = ({ path }) => path.includes("/data/") ? soft.clone() : undefined;
  assertEquals(await store.get(KEY), undefined); // only marked as deleted
});
