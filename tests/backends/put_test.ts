import { assertEquals } from "@std/assert";
import { wrapBackend } from "../../backends/common/wrap_backend.ts";
import { EncryptedCredentialsBackend } from "../../backends/encrypted.ts";
import { FallbackCredentialsBackend } from "../../backends/fallback.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import { migrateCredentials } from "../../backends/migrate_credentials.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { entry, KEY } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { SpyBackend } from "../support/spy_backend.ts";
import { testWith } from "../support/test_with.ts";
import { testKey } from "./encrypted/encryption_keys.ts";
import { minimal } from "./stores.ts";

const test = testWith({ permissions: "none" }, "put: ");
const key = await testKey();
const NEXT = entry({ access_token: "next" });
const yes = { isReplaced: () => true };

const WRAPPERS: Record<string, (backend: OidcCredentialsBackend) => OidcCredentialsBackend> = {
  nothing: (backend) => backend,
  encrypted: (backend) => new EncryptedCredentialsBackend({ backend, key }),
  fallback: (backend) => new FallbackCredentialsBackend({ backends: [backend] }),
  wrapBackend: (backend) => wrapBackend(backend, {}),
};

for (const [name, wrap] of Object.entries(WRAPPERS)) {
  test(`a store that ignores isReplaced and answers nothing has stored, through ${name}`, async () => {
    const backend = wrap(new SpyBackend());
    await backend.put(KEY, entry(), { isReplaced: (present) => present === undefined });
    assertEquals(await backend.get(KEY), entry());
    const moved = await migrateCredentials(memoryWith(NEXT), wrap(new SpyBackend()));
    assertEquals(moved.copied, [KEY]);
  });
}

test("a false without isReplaced counts as stored: an encrypted one says so", async () => {
  const inner = minimal();
  const { put } = inner;
  inner.put = async (...args) => {
    await put(...args);
    return false;
  };
  const backend = WRAPPERS.encrypted!(inner);
  assertEquals([await backend.put(KEY, entry()), await backend.get(KEY)], [true, entry()]);
});

test("an encrypted entry that others change all the time is an error after some tries", async () => {
  let tried = 0;
  const inner = minimal();
  inner.put = () => {
    tried++;
    return false;
  };
  const backend = WRAPPERS.encrypted!(inner);
  await rejectsWith("backend_locked", () => backend.put(KEY, entry(), yes), "20 tries");
  assertEquals(tried, 20);
});

function memoryWith(stored: typeof NEXT): MemoryCredentialsBackend {
  const backend = new MemoryCredentialsBackend();
  backend.put(KEY, stored);
  return backend;
}
