import { assertEquals, assertInstanceOf } from "@std/assert";
import { EncryptedCredentialsBackend } from "../../../backends/encrypted.ts";
import { FallbackCredentialsBackend } from "../../../backends/fallback.ts";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { loadBackendFromEnv } from "../../../backends/resolve_credentials_backend.ts";
import type { OidcCredentialsBackend } from "../../../backends/oidc_credentials_backend.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { testKey } from "../encrypted/encryption_keys.ts";
import { entry, KEY } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { sandbox } from "../../support/sandbox.ts";
import { withEnv } from "../../support/own_env.ts";

const { folder } = sandbox();
const TEST_KEY = (await testKey()).toBase64();

function load(
  name: string,
  kwargs: unknown,
  more: Record<string, string> = {},
): Promise<OidcCredentialsBackend | undefined> {
  return withEnv({
    VM_OIDC_CREDENTIALS_BACKEND: name,
    VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify(kwargs),
    TEST_KEY,
    ...more,
  }, async () => {
    const backend = await loadBackendFromEnv();
    await backend?.get("absent");
    return backend;
  });
}

const file = (path: unknown) => ({ name: "file", options: { path } });

Deno.test("the environment names an encrypted file, its key in a variable", async () => {
  const path = `${folder()}/credentials.json`;
  const kwargs = { backend: file("${TEST_FOLDER}/credentials.json"), key: { env: "TEST_KEY" } };
  const more = { TEST_FOLDER: path.replace("/credentials.json", "") };
  const backend = await load("encrypted", kwargs, more);
  assertInstanceOf(backend, EncryptedCredentialsBackend);
  assertEquals(backend.location, `${path}, encrypted`);
  await withEnv({ TEST_KEY }, () => backend.put(KEY, entry()));
  assertNoSecret(await Deno.readTextFile(path));
  const other = new EncryptedCredentialsBackend({
    backend: new FileCredentialsBackend({ path }),
    key: await testKey(),
  });
  assertEquals(await other.get(KEY), entry());
});

Deno.test("a nested backend may be a bare name, and keys be in further backends", async () => {
  const parent = folder();
  const backend = await load("encrypted", {
    backend: "memory",
    key: { backend: file(`${parent}/keys.json`) },
    olderKeys: [{ passphrase: "correct horse battery staple" }, {
      backend: file(`${parent}/older.json`),
    }],
    plain: "ignore",
  });
  await backend!.put(KEY, entry());
  assertEquals(await backend!.get(KEY), entry());
  const keys = new FileCredentialsBackend({ path: `${parent}/keys.json` });
  assertEquals((await Array.fromAsync(keys.list())).length, 2);
});

Deno.test("the environment names a fallback, with an encrypted file as its last", async () => {
  const path = `${folder()}/credentials.json`;
  const sealed = { backend: file(path), key: { env: "TEST_KEY" } };
  const backend = await load("fallback", {
    backends: ["memory", { name: "encrypted", options: sealed }],
  });
  assertInstanceOf(backend, FallbackCredentialsBackend);
  assertEquals(backend.location, `the memory of this process, else ${path}, encrypted`);
});

Deno.test("a nested backend may be a third party's module", async () => {
  const path = `${folder()}/store.ts`;
  await Deno.writeTextFile(
    path,
    `
    export class Store {
      readonly location: string;
      constructor({ location }: { location: string }) { this.location = location; }
      get() {}
      put() {}
      delete() {}
    }
  `,
  );
  const name = `${path}:Store`;
  const backend = await load("encrypted", {
    backend: { name, options: { location: "the team's store" } },
    key: { env: "TEST_KEY" },
  });
  assertEquals(backend?.location, "the team's store, encrypted");
  assertEquals(backend?.list, undefined);
});

const misplaced = { name: "file", path: "/x" };
const FAULTS: [name: string, kwargs: unknown, code: string, words: string][] = [
  ["encrypted", { key: { env: "TEST_KEY" } }, "invalid_backend", '"backend"'],
  ["encrypted", { backend: "memory" }, "invalid_options", '"key"'],
  ["encrypted", { backend: "memroy" }, "backend_spec_invalid", "KWARGS.backend"],
  ["encrypted", { backend: 7 }, "backend_kwargs_invalid", '"backend"'],
  ["encrypted", { backend: misplaced }, "backend_kwargs_invalid", '"options"'],
  ["encrypted", { backend: file(7) }, "invalid_options", "FileCredentialsBackend"],
  ["encrypted", { backend: "memory", key: { backend: null } }, "backend_kwargs_invalid", "key.b"],
  ["fallback", {}, "invalid_options", '"backends"'],
  ["fallback", { backends: [] }, "invalid_options", '"backends"'],
  ["fallback", { backends: "file" }, "invalid_options", '"backends"'],
  ["fallback", { backends: ["memory", "http://x/y.ts:Z"] }, "backend_import_unsupported", "ds[1]"],
  ["fallback", { backends: ["memory"], strict: true }, "invalid_options", "strict"],
];

for (const [name, kwargs, code, words] of FAULTS) {
  Deno.test(`${name} from the environment with ${JSON.stringify(kwargs)} is ${code}`, async () => {
    await rejectsWith(code as "invalid_options", () => load(name, kwargs), words);
  });
}
