import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { wrapBackend } from "../../backends/common/wrap_backend.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { entry, KEY, OTHER } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { sandbox } from "../support/sandbox.ts";
import { SpyBackend } from "../support/spy_backend.ts";
import {
  changeSealed,
  encrypted,
  FIRST,
  PASSPHRASE,
  sealedIn,
  SECOND,
  THIRD,
} from "./encrypted/encrypted_world.ts";
import { renderings } from "./encrypted/encryption_keys.ts";
import { isReplaced, minimal } from "./stores.ts";
import { storeError } from "../support/error_parts.ts";

const { folder } = sandbox();
const ROW = `encrypted|${KEY}`;
const UNKNOWN = "encryption_key_unknown";

Deno.test("nothing of an entry stands in the store but the key's name", async () => {
  const path = `${folder()}/credentials.json`;
  const backend = encrypted(new FileCredentialsBackend({ path }));
  const stored = entry({ scope: "openid secret.scope", audience: "ledger:backoffice" });
  await backend.put(KEY, stored);
  const text = await Deno.readTextFile(path);
  assertNoSecret(text, ["secret.scope", "ledger:backoffice", "2099-01-01"]);
  // An entry without tokens that ended long ago, for who does not know this form.
  const { [ROW]: { encrypted: sealed, ...row }, ...others } = JSON.parse(text).credentials;
  assertEquals([row, others], [{
    issuer: "encrypted",
    client_id: "encrypted",
    access_token: "",
    expires_at: "1970-01-01T00:00:00.000Z",
  }, {}]);
  assertEquals(Object.keys(sealed), ["version", "key_id", "nonce", "ciphertext"]);
  assertEquals(await backend.get(KEY), stored);
});

Deno.test("an older copy of a row is taken: the encryption does not tell", async () => {
  const inner = new MemoryCredentialsBackend();
  const backend = encrypted(inner);
  await backend.put(KEY, entry());
  const older = inner.get(ROW)!;
  await backend.put(KEY, entry({ scope: "newer" }));
  inner.put(ROW, older);
  assertEquals(await backend.get(KEY), entry());
});

Deno.test("a row that the key does not open is an error with its reason, and can be deleted", async () => {
  const inner = new MemoryCredentialsBackend();
  const backend = encrypted(inner);
  await backend.put(OTHER, entry());
  const other = inner.get(`encrypted|${OTHER}`)!;
  const cases: [code: string, words: string, change: () => void | Promise<void>][] = [
    ["decryption_failed", "another credential", () => inner.put(ROW, other)],
    ["decryption_failed", "Update @validmind/auth.", () => changeSealed(inner, { version: 2 })],
    [UNKNOWN, "olderKeys", () => encrypted(inner, { key: SECOND }).put(KEY, entry())],
    [UNKNOWN, "xxx…", () => changeSealed(inner, { key_id: `\u001b[2J${"x".repeat(500)}` })],
  ];
  for (const [code, words, change] of cases) {
    await backend.put(KEY, entry());
    await change();
    const get = () => backend.get(KEY);
    const { message } = await rejectsWith(code as "decryption_failed", get, KEY, words);
    if (code !== UNKNOWN) assert(message.includes("If it stays so, remove it with "), message);
    assert(!message.includes("\u001b") && message.length < 1000, message);
    await backend.delete(KEY);
    assertEquals(await backend.get(KEY), undefined);
  }
});

Deno.test("an error names the id of the key", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner).put(KEY, entry());
  const other = encrypted(inner, { key: SECOND });
  await rejectsWith("encryption_key_unknown", () => other.get(KEY), sealedIn(inner).key_id!);
  assertEquals(await encrypted(inner, { key: SECOND, olderKeys: [FIRST] }).get(KEY), entry());
});

for (const plain of ["refuse", "ignore"] as const) {
  Deno.test(`with plain "${plain}" the encrypted entry wins, and a sign-out leaves none`, async () => {
    const inner = new MemoryCredentialsBackend();
    const backend = encrypted(inner, { plain });
    await backend.put(KEY, entry());
    inner.put(KEY, entry({ access_token: "planted" })); // by a program that does not encrypt
    assertEquals(await backend.get(KEY), entry());
    assertEquals(await Array.fromAsync(backend.list!()), [KEY]);
    await backend.delete(KEY);
    assertEquals(inner.get(KEY) !== undefined, plain === "ignore"); // which is another program's
    assertEquals(inner.get(ROW), undefined);
  });
}

Deno.test("a plain entry is refused, unless it is to be ignored", async () => {
  const inner = new MemoryCredentialsBackend();
  inner.put(KEY, entry());
  const words = ["not encrypted", 'plain: "ignore"', "clearOidcCredentials"];
  await rejectsWith("decryption_failed", () => encrypted(inner).get(KEY), KEY, ...words);
  assertEquals(await encrypted(inner, { plain: "ignore" }).get(KEY), undefined);
  assertEquals(inner.get(KEY), entry()); // none of it changed anything
  const text = (key: string) => key === KEY ? JSON.stringify(entry()) as never : undefined;
  const odd: OidcCredentialsBackend = { ...minimal(), get: text };
  const get = () => encrypted(odd).get(KEY);
  await rejectsWith("backend_corrupt", get, "gave a string, not an entry");
  assertEquals(await encrypted(odd, { plain: "ignore" }).get(KEY), undefined);
});

Deno.test("a sign-out removes the encrypted entry also where the plain one cannot be removed", async () => {
  const inner = new SpyBackend();
  const backend = encrypted(inner);
  await backend.put(KEY, entry());
  const fault = storeError("backend_denied", "Cannot delete it: no. Ask.");
  inner.before = (method, key) => {
    if (method === "delete" && key === KEY) throw fault;
  };
  await rejectsWith("backend_denied", () => backend.delete(KEY));
  assertEquals(inner.rows.size, 0);
});

Deno.test("a sign-out has ended where both copies are gone, or has failed", async () => {
  const inner = new SpyBackend();
  const backend = encrypted(inner);
  await backend.put(KEY, entry());
  inner.rows.set(KEY, entry());
  inner.before = async () => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve(); // a store that takes its time
  };
  await backend.delete(KEY);
  assertEquals([...inner.rows.keys()], []);
  for (const key of [KEY, ROW]) {
    inner.fail("delete", new Error("it fails"), key);
    await assertRejects(() => backend.delete(KEY), Error, "it fails");
  }
});

Deno.test("a holder that lost its lock on a store with leases writes nothing any more", async () => {
  const store = new SpyBackend();
  const held = new Set<string>();
  const withLock = (key: string, fn: () => Promise<void>) => (held.add(key), fn());
  const backend = encrypted(Object.assign(store, { withLock }) as OidcCredentialsBackend);
  await backend.put(KEY, entry());
  await backend.withLock!(KEY, async () => {
    store.before = (method, key) => {
      if (method !== "put" || !held.has(key)) return; // the lock of its own row
      throw storeError("backend_locked", "Cannot write: was lost. Try again.");
    };
    const put = () => backend.put(KEY, entry({ access_token: "newer" }));
    await rejectsWith("backend_locked", put, "was lost");
  });
  assertEquals(await backend.get(KEY), entry());
});

Deno.test("an absent entry is replaced as isReplaced says, and one that vanishes counts for no key", async () => {
  const inner = new MemoryCredentialsBackend();
  assertEquals(
    await encrypted(inner).put(KEY, entry(), { isReplaced: (one) => one === undefined }),
    true,
  );
  assertEquals(await encrypted(inner).get(KEY), entry());
  const vanishing = wrapBackend(inner, { get: () => undefined });
  assertEquals(await encrypted(vanishing).keyUse(), { key: 0, olderKeys: [], unknown: 0 });
});

Deno.test("a write that another one overtakes is decided anew", async () => {
  const next = entry({ access_token: "next" });
  for (const theirs of [entry({ access_token: "theirs" }), entry({ x_theirs: 1 })]) {
    const inner = new MemoryCredentialsBackend();
    const compare: OidcCredentialsBackend["put"] = (key, row, options) => {
      const isWanted = options?.isReplaced?.(inner.get(key)) ?? true;
      return isWanted && inner.put(key, row);
    };
    const overtaken: OidcCredentialsBackend = {
      ...minimal(inner),
      put: async (...args) => {
        overtaken.put = compare;
        await encrypted(inner).put(KEY, theirs);
        return await compare(...args);
      },
    };
    await encrypted(inner).put(KEY, entry());
    const stored = await encrypted(overtaken).put(KEY, next, { isReplaced });
    assertEquals(stored, isReplaced(theirs));
    assertEquals(await encrypted(inner).get(KEY), isReplaced(theirs) ? next : theirs);
  }
});

Deno.test("it needs and says what the inner backend, the variables and the key's backend do", {
  permissions: "none",
}, () => {
  const inner = new FileCredentialsBackend({ path: "/data/t.json" });
  const keys = new FileCredentialsBackend({ path: "/keys/k.json" });
  const backend = encrypted(inner, {
    key: { env: "NEW_KEY" },
    olderKeys: [
      { passphrase: { env: "OLD_PASSPHRASE" } },
      { backend: keys },
      { file: "/run/old-key" },
      FIRST,
    ],
  });
  assertEquals(backend.requiredPermissions!(), [
    ...inner.requiredPermissions(),
    { name: "env", variable: "NEW_KEY" },
    { name: "env", variable: "OLD_PASSPHRASE" },
    ...keys.requiredPermissions(),
    { name: "read", path: "/run/old-key" },
  ]);
  assertEquals([backend.persistent, backend.location], [true, "/data/t.json, encrypted"]);
  const undeclared = encrypted(inner, { olderKeys: [{ backend: minimal() }] });
  assertEquals(undeclared.requiredPermissions, undefined);
});

Deno.test("neither the backend nor its errors show a key, a passphrase or a token", async () => {
  const secrets = [...renderings(FIRST), ...renderings(SECOND), PASSPHRASE];
  const kinds = [FIRST, { passphrase: PASSPHRASE }, { backend: new MemoryCredentialsBackend() }];
  for (const key of kinds) {
    const inner = new MemoryCredentialsBackend();
    const backend = encrypted(inner, { key });
    await backend.put(KEY, entry());
    await backend.get(KEY);
    assertNoSecret(backend, secrets);
    const other = encrypted(inner, { key: THIRD });
    assertNoSecret(await rejectsWith("encryption_key_unknown", () => other.get(KEY)), secrets);
    assertNoSecret(await backend.keyUse(), secrets);
  }
});

Deno.test("the constructor copies the caller's key", async () => {
  const inner = new MemoryCredentialsBackend();
  const mine = FIRST.slice();
  const backend = encrypted(inner, { key: mine });
  mine.fill(7);
  await backend.put(KEY, entry());
  assertEquals(await encrypted(inner).get(KEY), entry());
  assertNotEquals(mine, FIRST);
});
