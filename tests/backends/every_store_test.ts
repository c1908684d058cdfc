/** Rules of this module for its own stores, beyond those of the kit. */
import { assert, assertEquals } from "@std/assert";
import { provesWrites } from "../../backends/common/marks.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { CredentialStore } from "../../client/tokens/store.ts";
import { AWKWARD_KEYS, entry, KEY, small } from "../support/entries.ts";
import { sandbox } from "../support/sandbox.ts";
import { type Store, storesIn } from "./stores.ts";
import { storeError } from "../support/error_parts.ts";

const stores = Object.entries(storesIn(sandbox()));
const ROTATED = entry({ refresh_token: "fixture-rotated" });

/** Runs a test with a handle on each of these stores, whose entry is removed before and after. */
function testOver(stores: [name: string, store: Store][]) {
  return (
    name: string,
    fn: (world: Store & { backend: OidcCredentialsBackend }) => Promise<void>,
  ) => {
    for (const [storeName, store] of stores) {
      const { open, permissions } = store;
      Deno.test(`${storeName}: ${name}`, permissions ? { permissions } : {}, async () => {
        const backend = open();
        await backend.delete(KEY);
        try {
          await fn({ ...store, backend });
        } finally {
          await backend.delete(KEY);
          await backend.close?.();
        }
      });
    }
  };
}

const test = Object.assign(testOver(stores), {
  comparing: testOver(stores.filter(([, { compares }]) => compares)),
});

test("keeps awkward keys apart, and lists them", async ({ backend, open, longestKey = Infinity }) => {
  const keys = AWKWARD_KEYS.filter((key) => key.length <= longestKey);
  for (const key of [...keys, KEY]) {
    assert(!await backend.get(key));
    await backend.put(key, small(key));
  }
  const other = backend.persistent ? open() : backend;
  const listed = other.list && await Array.fromAsync(other.list());
  if (listed) assertEquals(listed.sort(), [...keys, KEY].sort());
  for (const key of keys) {
    assertEquals(await other.get(key), small(key));
    await other.delete(key);
    assert(!await backend.get(key));
  }
  assertEquals(await backend.get(KEY), small(KEY));
  if (other !== backend) await other.close?.();
});

test("proves its writes as it is locked, or says that it does not", ({ backend, proves }) => {
  assertEquals(provesWrites(backend), proves === true);
  return Promise.resolve();
});

test("removes all that it holds, if it can", async ({ backend }) => {
  for (const key of [KEY, "other"]) await backend.put(key, small(key));
  await backend.deleteAll?.();
  const left = backend.list && await Array.fromAsync(backend.list());
  if (backend.deleteAll && left) assertEquals(left, []);
  await backend.delete("other");
});

test("works after it was closed, with its entries where they survive", async ({ backend }) => {
  await backend.put(KEY, entry());
  for (let times = 0; times < 2; times++) await backend.close?.();
  const read = await backend.get(KEY);
  if (backend.persistent) assertEquals(read, entry());
});

test.comparing("a put tells whether it stored", async ({ backend }) => {
  const stored = [await backend.put(KEY, entry())];
  for (const isReplaced of [() => true, () => false]) {
    stored.push(await backend.put(KEY, entry(), { isReplaced }));
  }
  assertEquals(stored, [true, true, false]);
});

test.comparing("a put leaves an entry that is not the one to replace", async ({ backend }) => {
  const isReplaced = (stored?: { access_token: string }) => stored?.access_token === "other";
  await backend.put(KEY, entry(), { isReplaced });
  assert(!await backend.get(KEY));
  await backend.put(KEY, entry());
  await backend.put(KEY, ROTATED, { isReplaced });
  assertEquals(await backend.get(KEY), entry());
  await backend.put(KEY, entry({ access_token: "other" }));
  await backend.put(KEY, ROTATED, { isReplaced });
  assertEquals(await backend.get(KEY), ROTATED);
});

test.comparing("a sign-out before a session's write, or before a late one, is not undone", async ({ backend }) => {
  const { put } = backend;
  const signOutBeforeWrite: typeof put = async (...args) => {
    backend.put = put;
    await backend.delete(KEY);
    return await backend.put(...args);
  };
  for (const isLate of [false, true]) {
    await backend.put(KEY, entry());
    const credential = new CredentialStore(backend, KEY);
    const denied = storeError("backend_denied", "Cannot write it: test. Wait.");
    backend.put = isLate ? () => Promise.reject(denied) : signOutBeforeWrite;
    const replaced = await credential.replace(ROTATED, entry()).catch(() => "denied");
    if (isLate) {
      backend.put = signOutBeforeWrite;
      assertEquals([replaced, await credential.load()], ["denied", undefined]);
      assertEquals(credential.unstored, undefined);
    } else assertEquals(replaced, false);
    assert(!await backend.get(KEY));
  }
});
