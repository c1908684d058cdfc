import { assertEquals } from "@std/assert";
import { PROVES, provesWrites } from "../../../backends/common/marks.ts";
import { wrapBackend } from "../../../backends/common/wrap_backend.ts";
import { EncryptedCredentialsBackend } from "../../../backends/encrypted.ts";
import { FallbackCredentialsBackend } from "../../../backends/fallback.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type { OidcCredentialsBackend } from "../../../backends/oidc_credentials_backend.ts";
import { entry, KEY } from "../../support/entries.ts";
import { testKey } from "../encrypted/encryption_keys.ts";

// Each wrapper has the members that the protocol makes optional where the wrapped store has them.
const OPTIONAL_MEMBERS = [
  "withLock",
  "list",
  "deleteAll",
  "requiredPermissions",
  "persistent",
  "location",
  "close",
] as const;

const key = await testKey();
const WRAPPERS: Record<string, (backend: OidcCredentialsBackend) => OidcCredentialsBackend> = {
  encrypted: (backend) => new EncryptedCredentialsBackend({ backend, key }),
  fallback: (backend) => new FallbackCredentialsBackend({ backends: [backend] }),
  wrapBackend: (backend) => wrapBackend(backend, {}),
};

/** A store with every member but one, which tells its calls. */
function store(lacking?: string) {
  const rows = new MemoryCredentialsBackend();
  const calls: unknown[] = [];
  const full: Required<OidcCredentialsBackend> = {
    get: (key) => rows.get(key),
    put(key, entry, options) {
      calls.push(["put", options?.isReplaced !== undefined]);
      rows.put(key, entry);
    },
    delete: (key) => rows.delete(key),
    withLock(key, fn, options) {
      calls.push(["withLock", options?.signal !== undefined, options?.peek !== undefined]);
      return rows.withLock(key, fn, options);
    },
    list: () => rows.list(),
    deleteAll: () => new Promise((done) => setTimeout(() => done(rows.deleteAll()))),
    requiredPermissions: () => [{ name: "env", variable: "STORE" }],
    persistent: true,
    location: "the store",
    storeId: "the store",
    close: () => void calls.push("close"),
  };
  if (lacking !== undefined) Reflect.deleteProperty(full, lacking);
  return { calls, backend: Object.assign(full, { [PROVES]: lacking === undefined }) };
}

for (const [name, wrap] of Object.entries(WRAPPERS)) {
  Deno.test(`${name} lacks what its store lacks, and nothing else`, () => {
    for (const lacking of OPTIONAL_MEMBERS) {
      const wrapper = wrap(store(lacking).backend);
      const has = OPTIONAL_MEMBERS.filter((member) => wrapper[member] !== undefined);
      // What it is called, and a close that does nothing, harm nobody.
      const expected = OPTIONAL_MEMBERS.filter((member) =>
        member !== lacking || name !== "wrapBackend" && member === "close" ||
        name === "fallback" && member === "location"
      );
      assertEquals([lacking, ...has], [lacking, ...expected]);
      assertEquals(provesWrites(wrapper), false);
    }
  });

  Deno.test(`${name} forwards every member with its options`, async () => {
    const { backend, calls } = store();
    const wrapper = wrap(backend);
    assertEquals([wrapper.persistent, provesWrites(wrapper)], [true, true]);
    assertEquals(wrapper.requiredPermissions!(), [{ name: "env", variable: "STORE" }]);
    const { signal } = new AbortController();
    await wrapper.withLock!(KEY, async () => {
      await wrapper.put(KEY, entry(), { isReplaced: () => true });
    }, { signal, peek: () => undefined });
    assertEquals(await Array.fromAsync(wrapper.list!()), [KEY]);
    assertEquals(await wrapper.get(KEY), entry());
    await wrapper.deleteAll!();
    assertEquals(await Array.fromAsync(wrapper.list!()), []);
    await wrapper.close!();
    assertEquals(calls, [["withLock", true, true], ["put", true], "close"]);
  });
}

Deno.test("wrapBackend: a change takes the place of a member, with a state of the store's own", async () => {
  const memory = new MemoryCredentialsBackend();
  const wrapper = wrapBackend(memory, { location: "elsewhere", get: () => undefined });
  await wrapper.put(KEY, entry());
  assertEquals([wrapper.location, wrapper.persistent], ["elsewhere", false]);
  assertEquals([await wrapper.get(KEY), memory.get(KEY)], [undefined, entry()]);
});

Deno.test("wrapBackend takes a frozen store, and a wrapper with a fixed lack", async () => {
  const { backend } = store("list");
  for (
    const fixed of [new FallbackCredentialsBackend({ backends: [backend] }), Object.freeze(backend)]
  ) {
    const list = () => new MemoryCredentialsBackend().list();
    const wrapper = wrapBackend(fixed, { list });
    assertEquals([wrapper.list, await wrapper.get(KEY)], [list, undefined]);
  }
});
