import { assertEquals } from "@std/assert";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { migrateCredentials } from "../../backends/migrate_credentials.ts";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { encrypted, minimal } from "./encrypted/encrypted_world.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { sandbox } from "../support/sandbox.ts";
import { SpyBackend } from "../support/spy_backend.ts";

const { folder } = sandbox();

Deno.test("a plain entry is refused, unless it is to be ignored", async () => {
  const inner = new MemoryCredentialsBackend();
  inner.put(KEY, entry());
  const words = ["not encrypted", 'plain: "ignore"', "clearOidcCredentials"];
  await rejectsWith("decryption_failed", () => encrypted(inner).get(KEY), KEY, ...words);
  assertEquals(await encrypted(inner, { plain: "ignore" }).get(KEY), undefined);
  assertEquals(inner.get(KEY), entry()); // none of it changed anything
});

Deno.test("a plain row that is no entry is corrupt, and left alone where it is another program's", async () => {
  const inner: OidcCredentialsBackend = {
    ...minimal(),
    get: (key) => (key === KEY ? JSON.stringify(entry()) : undefined) as unknown as undefined,
  };
  await rejectsWith(
    "backend_corrupt",
    () => encrypted(inner).get(KEY),
    "gave a string, not an entry",
  );
  assertEquals(await encrypted(inner, { plain: "ignore" }).get(KEY), undefined);
});

Deno.test("a sign-out removes the encrypted entry also where the plain one cannot be removed", async () => {
  const inner = new SpyBackend();
  const backend = encrypted(inner);
  await backend.put(KEY, entry());
  const fault = new CredentialsBackendError("backend_denied", "Cannot delete it: no. Ask.");
  inner.before = (method, key) => {
    if (method === "delete" && key === KEY) throw fault;
  };
  await rejectsWith("backend_denied", () => backend.delete(KEY));
  assertEquals(inner.rows.size, 0);
});

Deno.test("a sign-out removes a plain entry, too, unless it is another program's", async () => {
  for (const plain of ["refuse", "ignore"] as const) {
    const inner = new MemoryCredentialsBackend();
    const backend = encrypted(inner, { plain });
    await backend.put(KEY, entry());
    inner.put(KEY, entry()); // signed in by a program that does not encrypt
    assertEquals(await Array.fromAsync(backend.list!()), [KEY]);
    await backend.delete(KEY);
    assertEquals(inner.get(KEY), plain === "ignore" ? entry() : undefined);
    assertEquals(inner.get(`encrypted|${KEY}`), undefined);
  }
});

Deno.test("the encrypted entry wins over a plain one, which nobody may slip in", async () => {
  const inner = new MemoryCredentialsBackend();
  for (const plain of ["refuse", "ignore"] as const) {
    const backend = encrypted(inner, { plain });
    await backend.put(KEY, entry());
    inner.put(KEY, entry({ access_token: "planted" }));
    assertEquals(await backend.get(KEY), entry());
  }
});

Deno.test('plain "ignore" shares a file with Python: neither sees or changes the other\'s rows', async () => {
  const fixture = new URL("../fixtures/credentials_from_python.json", import.meta.url);
  const path = `${folder()}/credentials.json`;
  await Deno.writeFile(path, await Deno.readFile(fixture), { mode: 0o600 });
  const inner = new FileCredentialsBackend({ path });
  const before = JSON.parse(await Deno.readTextFile(path)).credentials;
  const [python = ""] = Object.keys(before);
  const backend = encrypted(inner, { plain: "ignore" });
  assertEquals(await backend.get(python), undefined);
  assertEquals(await Array.fromAsync(backend.list!()), []);
  await backend.put(python, entry());
  const { [`encrypted|${python}`]: _, ...after } = JSON.parse(await Deno.readTextFile(path))
    .credentials;
  assertEquals(after, before);
  await backend.delete(python);
  assertEquals(JSON.parse(await Deno.readTextFile(path)).credentials, before);
});

Deno.test("migrateCredentials moves plain entries of one file into an encrypted other one", async () => {
  const parent = folder();
  const from = new FileCredentialsBackend({ path: `${parent}/plain.json` });
  await from.put(KEY, entry());
  await from.put(OTHER, entry({ client_id: "other" }));
  const to = encrypted(new FileCredentialsBackend({ path: `${parent}/sealed.json` }));
  const { copied, deleted } = await migrateCredentials(from, to, { deleteSource: true });
  assertEquals([copied.length, deleted.length], [2, 2]);
  assertEquals(await to.get(KEY), entry());
  assertNoSecret(await Deno.readTextFile(`${parent}/plain.json`));
  assertNoSecret(await Deno.readTextFile(`${parent}/sealed.json`));
  assertEquals(await Array.fromAsync(from.list()), []);
});

Deno.test("an encrypted row is not encrypted again, which would bury it", async () => {
  const inner = new MemoryCredentialsBackend();
  const backend = encrypted(inner, { plain: "ignore" });
  await backend.put(KEY, entry());
  await rejectsWith("invalid_options", () => migrateCredentials(inner, backend), "already");
  assertEquals(await backend.get(KEY), entry());
});

Deno.test("rows copied as they are to another store are read there with the same key", async () => {
  const [from, to] = [new MemoryCredentialsBackend(), new MemoryCredentialsBackend()];
  await encrypted(from).put(KEY, entry());
  await migrateCredentials(from, to);
  assertEquals(await encrypted(to).get(KEY), entry());
});
