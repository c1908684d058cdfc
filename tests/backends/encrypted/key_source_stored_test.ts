import { assert, assertEquals } from "@std/assert";
import { EncryptedCredentialsBackend } from "../../../backends/encrypted.ts";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../../backends/oidc_credentials_backend.ts";
import { backendUrl, runDeno } from "../../support/deno_process.ts";
import { minimal } from "./encrypted_world.ts";
import { testKey } from "./encryption_keys.ts";
import { entry, KEY, OTHER, small } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { sandbox } from "../../support/sandbox.ts";

const { folder } = sandbox();

function pair(inner = new MemoryCredentialsBackend(), keys = new MemoryCredentialsBackend()) {
  const open = () => new EncryptedCredentialsBackend({ backend: inner, key: { backend: keys } });
  return { inner, keys, open };
}

Deno.test("a key is made at the first write, kept in its backend, and found by a later start", async () => {
  const { inner, keys, open } = pair();
  assertEquals(await open().get(KEY), undefined);
  assertEquals(await Array.fromAsync(keys.list()), []); // reading makes none
  await open().put(KEY, entry());
  const names = (await Array.fromAsync(keys.list())).toSorted();
  const id = (inner.get(`encrypted|${KEY}`)!.encrypted as { key_id: string }).key_id;
  assertEquals(names, ["encryption-key", `encryption-key|${id}`]);
  assertEquals(await open().get(KEY), entry());
  await open().put(OTHER, entry());
  assertEquals((await Array.fromAsync(keys.list())).length, 2); // the same key
});

Deno.test("one instance makes one key for writes at the same time", async () => {
  const { keys, open } = pair();
  const backend = open();
  await Promise.all([1, 2, 3, 4].map((number) => backend.put(`${number}`, small("x"))));
  assertEquals((await Array.fromAsync(keys.list())).length, 2);
});

Deno.test("a lost key is encryption_key_unknown to reads and to writes in place of an entry", async () => {
  const { keys, open } = pair();
  await open().put(KEY, entry());
  keys.deleteAll();
  await rejectsWith("encryption_key_unknown", () => open().get(KEY), KEY);
  const refresh = () => open().put(KEY, entry(), { isReplaced: () => true });
  await rejectsWith("encryption_key_unknown", refresh, "clearOidcCredentials()");
  await open().delete(KEY);
  await open().put(KEY, entry());
  assertEquals(await open().get(KEY), entry());
});

Deno.test("a row of the store of keys that is no entry is an error, and no new key is made", async () => {
  const { inner, keys, open } = pair();
  await open().put(KEY, entry());
  const names = await Array.fromAsync(keys.list());
  const text = (key: string) => JSON.stringify(keys.get(key)) as unknown as OidcCredentials;
  const backend = new EncryptedCredentialsBackend({
    backend: minimal(inner), // where no list tells that entries need the key
    key: { backend: { ...minimal(keys), get: text } },
  });
  const words = ["gave a string, not an entry", "Nothing was changed"];
  await rejectsWith("backend_corrupt", () => backend.get(KEY), ...words);
  await rejectsWith("backend_corrupt", () => backend.put(KEY, entry()), ...words);
  assertEquals(await Array.fromAsync(keys.list()), names);
  assertEquals(await open().get(KEY), entry());
});

Deno.test("no row makes the store of keys look up a name of its own choice", async () => {
  const { inner, keys } = pair();
  const asked: string[] = [];
  const spied: OidcCredentialsBackend = {
    get: (key) => {
      asked.push(key);
      return keys.get(key);
    },
    put: (key, entry) => keys.put(key, entry),
    delete: (key) => keys.delete(key),
  };
  const open = () => new EncryptedCredentialsBackend({ backend: inner, key: { backend: spied } });
  await open().put(KEY, entry());
  const row = inner.get(`encrypted|${KEY}`)!;
  for (const key_id of ["../../other", "a".repeat(100_000), ""]) {
    inner.put(`encrypted|${KEY}`, { ...row, encrypted: { ...row.encrypted as object, key_id } });
    asked.length = 0;
    await rejectsWith("encryption_key_unknown", () => open().get(KEY));
    assertEquals(asked, []);
  }
});

Deno.test("a damaged or swapped key row is a lost key", async () => {
  const { inner, keys, open } = pair();
  await open().put(KEY, entry());
  const id = (inner.get(`encrypted|${KEY}`)!.encrypted as { key_id: string }).key_id;
  const other = (await testKey(9)).toBase64();
  for (const encryption_key of [other, "AAAA", "", undefined, 7]) {
    keys.put(`encryption-key|${id}`, { ...small("x"), encryption_key });
    await rejectsWith("encryption_key_unknown", () => open().get(KEY), id);
  }
});

Deno.test("a move from a key in a variable to one in a backend takes entries along", async () => {
  const { inner, keys, open } = pair();
  const older = await testKey();
  await new EncryptedCredentialsBackend({ backend: inner, key: older }).put(KEY, entry());
  const both = new EncryptedCredentialsBackend({
    backend: inner,
    key: { backend: keys },
    olderKeys: [older],
  });
  assertEquals(await both.get(KEY), entry());
  await both.put(KEY, entry());
  assertEquals(await open().get(KEY), entry());
});

Deno.test("a key beside its entries is refused", async () => {
  const file = (name: string) => new FileCredentialsBackend({ path: `/data/${name}.json` });
  const make = (backend: OidcCredentialsBackend, keys: OidcCredentialsBackend) => () =>
    new EncryptedCredentialsBackend({ backend, key: { backend: keys } });
  const one = file("one");
  await rejectsWith("invalid_options", make(one, one), "in the store that it protects");
  await rejectsWith("invalid_options", make(one, file("one")), "in the store that it protects");
  make(one, file("two"))();
});

Deno.test("processes that all make the first key lose nothing: every entry is readable", async () => {
  const parent = folder();
  const code = `
    import { EncryptedCredentialsBackend } from "${backendUrl("encrypted.ts")}";
    import { FileCredentialsBackend } from "${backendUrl("file.ts")}";
    const file = (name) => new FileCredentialsBackend({ path: ${
    JSON.stringify(`${parent}/`)
  } + name + ".json" });
    const backend = new EncryptedCredentialsBackend({
      backend: file("entries"),
      key: { backend: file("keys") },
    });
    const [name, at] = Deno.args;
    while (Date.now() < Number(at)); // all begin in the same millisecond
    for (let i = 0; i < 5; i++) {
      await backend.put(\`\${name}-\${i}\`, { issuer: "i", client_id: name, access_token: "t" });
    }
  `;
  const flags = [`--allow-read=${parent}`, `--allow-write=${parent}`];
  const at = String(Date.now() + 1500);
  const names = ["a", "b", "c", "d", "e", "f"];
  const results = await Promise.all(
    names.map((name) => runDeno({ code, flags, args: [name, at], timeoutMs: 60_000 })),
  );
  for (const result of results) assertEquals(result, { code: 0, stdout: "", stderr: "" });
  const inner = new FileCredentialsBackend({ path: `${parent}/entries.json` });
  const keys = new FileCredentialsBackend({ path: `${parent}/keys.json` });
  const backend = new EncryptedCredentialsBackend({ backend: inner, key: { backend: keys } });
  const listed = await Array.fromAsync(backend.list!());
  assertEquals(listed.length, 30);
  for (const key of listed) assertEquals((await backend.get(key))?.client_id, key[0]);
  assert((await Array.fromAsync(keys.list())).length >= 2);
});
