// A store that gives something else in place of an entry, such as the text of one.
import { assert, assertEquals } from "@std/assert";
import { EncryptedCredentialsBackend } from "../../../backends/encrypted.ts";
import { FallbackCredentialsBackend } from "../../../backends/fallback.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../../backends/oidc_credentials_backend.ts";
import { createSession } from "../../../client/create_session.ts";
import { testKey } from "../../backends/encrypted/encryption_keys.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { tokensOf } from "../../support/entries.ts";
import { test } from "../../support/provider_world.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { SpyBackend } from "../../support/spy_backend.ts";

/** A stranger's store, which gives each entry in a form of its own. */
class OddBackend extends SpyBackend {
  form: ((entry: OidcCredentials) => unknown) | undefined;

  override async get(key: string): Promise<OidcCredentials | undefined> {
    const entry = await super.get(key);
    const isOdd = entry !== undefined && this.form !== undefined;
    return isOdd ? this.form!(entry) as OidcCredentials : entry;
  }
}

const FORMS: [found: string, form: (entry: OidcCredentials) => unknown][] = [
  ["a string", (entry) => JSON.stringify(entry)],
  ["a number", () => 0],
  ["a boolean", () => false],
  ["an array, bytes or the like", (entry) => [entry]],
  ["an array, bytes or the like", (entry) => new TextEncoder().encode(JSON.stringify(entry))],
];

const WAYS: [way: string, wrap: (store: OddBackend) => Promise<OidcCredentialsBackend>][] = [
  ["", (store) => Promise.resolve(store)],
  [" by fallback", (store) => {
    const backends = [store, new MemoryCredentialsBackend()];
    return Promise.resolve(new FallbackCredentialsBackend({ backends }));
  }],
  [" by encrypted", async (backend) => {
    return new EncryptedCredentialsBackend({ backend, key: await testKey() });
  }],
];

for (const [way, wrap] of WAYS) {
  test(`a store${way} that gives no entry is corrupt: nobody is asked, nothing is overwritten`, async (world) => {
    const store = new OddBackend();
    const options = { ...world.options, credentialsBackend: await wrap(store) };
    const session = await createSession(options);
    const rows = [...store.rows];
    const secrets = tokensOf((await options.credentialsBackend.get(world.key))!);
    world.provider.reset();
    store.calls.length = 0;
    for (const [found, form] of FORMS) {
      store.form = form;
      const words = ["OddBackend", `gave ${found}, not an entry`, "Nothing was changed"];
      for (const interactive of [true, false]) {
        const start = () => createSession({ ...options, interactive });
        assertNoSecret(await rejectsWith("backend_corrupt", start, ...words), secrets);
      }
      const force = () => session.accessToken({ forceRefresh: true });
      assertNoSecret(await rejectsWith("backend_corrupt", force, ...words), secrets);
    }
    assertEquals(world.provider.requests, []);
    assert(store.calls.every((method) => method === "get"));
    assertEquals([...store.rows], rows);
    const { keys } = await session.clear();
    assertEquals([keys, store.rows.size], [[world.key], 0]);
  });
}
