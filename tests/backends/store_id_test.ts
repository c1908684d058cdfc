import { assertEquals } from "@std/assert";
import { shareStore } from "../../backends/common/marks.ts";
import { wrapBackend } from "../../backends/common/wrap_backend.ts";
import { EncryptedCredentialsBackend, type EncryptionKey } from "../../backends/encrypted.ts";
import { FallbackCredentialsBackend } from "../../backends/fallback.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import { migrateCredentials } from "../../backends/migrate_credentials.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { SpyBackend } from "../support/spy_backend.ts";
import { testWith } from "../support/test_with.ts";
import { testKey } from "./encrypted/encryption_keys.ts";

const test = testWith({ permissions: "none" }, "storeId: ");
const bytes = await testKey();
const PASSPHRASE = "correct horse battery staple";

const store = (storeId?: string, location = "the store") =>
  Object.assign(new SpyBackend(), { location, persistent: true }, storeId ? { storeId } : {});
const encrypted = (backend: OidcCredentialsBackend, key: EncryptionKey) =>
  new EncryptedCredentialsBackend({ backend, key });
const fallback = (...backends: OidcCredentialsBackend[]) =>
  new FallbackCredentialsBackend({ backends });

test("memory is one store by its object alone", () => {
  const [one, other] = [new MemoryCredentialsBackend(), new MemoryCredentialsBackend()];
  assertEquals([shareStore(one, one), shareStore(one, other)], [true, false]);
});

test("an encrypted store is its inner one with its key, and none where either has no identity", () => {
  const idOf = (key: EncryptionKey, id?: string) => encrypted(store(id), key).storeId;
  const named = [
    idOf({ env: "A_KEY" }, "a"),
    idOf({ env: "B_KEY" }, "a"),
    idOf({ env: "A_KEY" }, "b"),
    idOf({ passphrase: { env: "A_WORDS" } }, "a"),
    idOf({ backend: store("keys") }, "a"),
    idOf({ backend: store("other keys") }, "a"),
  ];
  assertEquals([new Set(named).size, named.includes(undefined)], [6, false]);
  assertEquals(idOf({ env: "A_KEY" }, "a"), named[0]);
  const unnamed = [bytes, { passphrase: PASSPHRASE }, { backend: store() }];
  assertEquals(unnamed.map((key) => idOf(key, "a")), [undefined, undefined, undefined]);
  assertEquals(idOf({ env: "A_KEY" }), undefined);
});

test("a fallback is all of its stores in their order, and none where one has no identity", () => {
  const ids = (...all: string[]) => fallback(...all.map((id) => store(id))).storeId;
  assertEquals(ids("a", "b"), ids("a", "b"));
  assertEquals(new Set([ids("a", "b"), ids("b", "a"), ids("a"), ids('a","b')]).size, 4);
  assertEquals(fallback(store("a"), new MemoryCredentialsBackend()).storeId, undefined);
});

test("wrapBackend hands it on", () => {
  assertEquals(wrapBackend(store("a"), {}).storeId, "a");
  assertEquals(wrapBackend(store("a"), { storeId: "b" }).storeId, "b");
});

test("source and target of a migration are one store by it, and not by their location", async () => {
  const list = async function* () {};
  const from = (id?: string) => Object.assign(store(id), { list });
  assertEquals((await migrateCredentials(from(), store())).copied, []);
  const one = () => migrateCredentials(from("a"), store("a", "another place"));
  await rejectsWith("invalid_options", one, "one store");
  const inner = () => migrateCredentials(from("a"), fallback(store("b"), store("a")));
  await rejectsWith("invalid_options", inner, "share none");
});
