import { assertEquals } from "@std/assert";
import {
  CredentialsBackendError,
  FileCredentialsBackend,
  KvCredentialsBackend,
  MemoryCredentialsBackend,
  type OidcCredentialsBackend,
  type PutOptions,
} from "@validmind/auth";
import { EncryptedCredentialsBackend } from "@validmind/auth/backends/encrypted";
import { FallbackCredentialsBackend } from "@validmind/auth/backends/fallback";
import { CredentialStore } from "../../client/tokens/store.ts";
import { entry, KEY } from "../support/entries.ts";
import { sandbox } from "../support/sandbox.ts";

const { folder, permissions } = sandbox();
const ROTATED = entry({ refresh_token: "fixture-rotated" });

const DENIED = new CredentialsBackendError("backend_denied", "Cannot write it: test. Wait.");

type Store = FileCredentialsBackend | KvCredentialsBackend;

const STORES = {
  file: () => new FileCredentialsBackend({ path: `${folder()}/c.json` }),
  kv: () => new KvCredentialsBackend({ path: `${folder()}/c.db` }),
};

const WRAPPERS = {
  "": (store: Store) => store,
  " by encrypted": (backend: Store) =>
    new EncryptedCredentialsBackend({
      backend,
      key: crypto.getRandomValues(new Uint8Array(32)),
    }),
  " by fallback": (store: Store) =>
    new FallbackCredentialsBackend({ backends: [store, new MemoryCredentialsBackend()] }),
};

const CASES = Object.entries(STORES).flatMap(([name, make]) =>
  Object.entries(WRAPPERS).map(([way, wrap]) => ({
    name: `${name}${way}`,
    make(): { store: Store; backend: OidcCredentialsBackend } {
      const store = make();
      return { store, backend: wrap(store) };
    },
  }))
);

/** Has another process sign out right before the store's next write, without a lock. */
function signOutBeforeWrite(store: Store, backend: OidcCredentialsBackend): void {
  const put = store.put.bind(store);
  store.put = async (...args) => {
    store.put = put;
    await backend.delete(KEY);
    await put(...args);
  };
}

for (const { name, make } of CASES) {
  Deno.test(`a put to ${name} leaves an entry that is not the one to replace, whoever changed it`, {
    permissions,
  }, async () => {
    const { backend } = make();
    const isReplaced: PutOptions["isReplaced"] = (stored) => stored?.access_token === "other";
    await backend.put(KEY, entry(), { isReplaced });
    assertEquals(await backend.get(KEY), undefined);
    await backend.put(KEY, entry());
    await backend.put(KEY, ROTATED, { isReplaced });
    assertEquals(await backend.get(KEY), entry());
    await backend.put(KEY, entry({ access_token: "other" }));
    await backend.put(KEY, ROTATED, { isReplaced });
    assertEquals(await backend.get(KEY), ROTATED);
    await backend.close?.();
  });

  Deno.test(`a sign-out from ${name} between a session's look and its write is not undone`, {
    permissions,
  }, async () => {
    const { store, backend } = make();
    await backend.put(KEY, entry());
    signOutBeforeWrite(store, backend);
    const credential = new CredentialStore(backend, KEY);
    assertEquals(await credential.replace(ROTATED, entry()), false);
    assertEquals(await backend.get(KEY), undefined);
    await backend.close?.();
  });

  Deno.test(`a sign-out from ${name} before a late write of unstored tokens is not undone`, {
    permissions,
  }, async () => {
    const { store, backend } = make();
    await backend.put(KEY, entry());
    const credential = new CredentialStore(backend, KEY);
    const put = store.put.bind(store);
    store.put = () => Promise.reject(DENIED);
    await credential.replace(ROTATED, entry()).catch(() => undefined);
    store.put = put;
    signOutBeforeWrite(store, backend);
    assertEquals(await credential.load(), undefined);
    assertEquals([credential.unstored, await backend.get(KEY)], [undefined, undefined]);
    await backend.close?.();
  });
}
