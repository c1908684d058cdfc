import { assert, assertEquals, assertFalse, assertNotEquals } from "@std/assert";
import {
  EncryptedCredentialsBackend,
  type EncryptedCredentialsBackendOptions,
} from "../../backends/encrypted.ts";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import { migrateCredentials } from "../../backends/migrate_credentials.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import { testCredentialsBackend } from "../../backends/testing.ts";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { renderings, testKey } from "./encrypted/encryption_keys.ts";
import { AWKWARD_KEYS, entry, KEY, OTHER, SECRETS } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { sandbox } from "../support/sandbox.ts";

const { folder, permissions } = sandbox();
const [FIRST, SECOND, THIRD] = [await testKey(1), await testKey(2), await testKey(3)];

function encrypted(
  backend: OidcCredentialsBackend = new MemoryCredentialsBackend(),
  options: Partial<EncryptedCredentialsBackendOptions> = {},
): EncryptedCredentialsBackend {
  return new EncryptedCredentialsBackend({ backend, key: FIRST, ...options });
}

/** The three methods alone. */
function minimal(rows = new MemoryCredentialsBackend()): OidcCredentialsBackend {
  return {
    get: (key) => rows.get(key),
    put: (key, entry) => rows.put(key, entry),
    delete: (key) => rows.delete(key),
  };
}

/** A store in which every row is damaged. */
const DAMAGED: OidcCredentialsBackend = {
  get: () => ({ ...entry(), encrypted: { version: 1 } }),
  put: () => {},
  delete: () => {},
};

testCredentialsBackend("encrypted memory", () => encrypted(), {
  broken: () => encrypted(DAMAGED),
  permissions: "none",
});

let path = "";
testCredentialsBackend(
  "encrypted file",
  () => {
    path ||= `${folder()}/credentials.json`;
    return encrypted(new FileCredentialsBackend({ path }));
  },
  {
    broken: () => {
      const path = `${folder()}/credentials.json`;
      Deno.writeTextFileSync(path, "{", { mode: 0o600 });
      return encrypted(new FileCredentialsBackend({ path }));
    },
    permissions,
  },
);

testCredentialsBackend("encrypted backend of three methods", () => encrypted(minimal()), {
  permissions: "none",
});

Deno.test("nothing of an entry stands in the store but the key's name", async () => {
  const path = `${folder()}/credentials.json`;
  const backend = encrypted(new FileCredentialsBackend({ path }));
  const stored = entry({ scope: "openid secret.scope", audience: "ledger:backoffice" });
  await backend.put(KEY, stored);
  const text = await Deno.readTextFile(path);
  assertNoSecret(text, ["secret.scope", "ledger:backoffice", "2099-01-01"]);
  assertEquals(Object.keys(JSON.parse(text).credentials), [`encrypted|${KEY}`]);
  assertEquals(await backend.get(KEY), stored);
});

Deno.test("the row is an entry without tokens that ended long ago, for who does not know it", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner).put(KEY, entry());
  const { encrypted: sealed, ...row } = inner.get(`encrypted|${KEY}`)!;
  assertEquals(row, {
    issuer: "encrypted",
    client_id: "encrypted",
    access_token: "",
    expires_at: "1970-01-01T00:00:00.000Z",
  });
  assertEquals(Object.keys(sealed as object), ["version", "key_id", "nonce", "ciphertext"]);
});

Deno.test("each write has a nonce of its own, and so another ciphertext", async () => {
  const inner = new MemoryCredentialsBackend();
  const backend = encrypted(inner);
  const seen = new Set<unknown>();
  for (let i = 0; i < 50; i++) {
    await backend.put(KEY, entry());
    const sealed = inner.get(`encrypted|${KEY}`)!.encrypted as Record<string, unknown>;
    seen.add(sealed.nonce).add(sealed.ciphertext);
  }
  assertEquals(seen.size, 100);
});

Deno.test("a swapped row and one under another key are decryption_failed", async () => {
  const inner = new MemoryCredentialsBackend();
  const backend = encrypted(inner);
  await backend.put(KEY, entry());
  await backend.put(OTHER, entry());
  inner.put(`encrypted|${OTHER}`, inner.get(`encrypted|${KEY}`)!);
  await rejectsWith("decryption_failed", () => backend.get(OTHER), OTHER, "another credential");
  assertEquals(await backend.get(KEY), entry());
});

Deno.test("another key is encryption_key_unknown and names the id; with a given id decryption_failed", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner).put(KEY, entry());
  const { key_id } = inner.get(`encrypted|${KEY}`)!.encrypted as { key_id: string };
  const other = encrypted(inner, { key: SECOND });
  await rejectsWith("encryption_key_unknown", () => other.get(KEY), KEY, key_id, "olderKeys");

  await encrypted(inner, { key: { bytes: FIRST, id: "2026-01" } }).put(KEY, entry());
  const wrong = encrypted(inner, { key: { bytes: SECOND, id: "2026-01" } });
  await rejectsWith("decryption_failed", () => wrong.get(KEY));
  await rejectsWith("encryption_key_unknown", () => encrypted(inner).get(KEY), '"2026-01"');
});

Deno.test("an id that a stranger wrote does not reach the message as it is", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner).put(KEY, entry());
  const row = inner.get(`encrypted|${KEY}`)!;
  const key_id = `\u001b[2J${"x".repeat(500)}`;
  inner.put(`encrypted|${KEY}`, { ...row, encrypted: { ...row.encrypted as object, key_id } });
  const error = await rejectsWith("encryption_key_unknown", () => encrypted(inner).get(KEY));
  assert(!error.message.includes("\u001b") && error.message.length < 500);
});

Deno.test("a row of a later version is decryption_failed and says to update", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner).put(KEY, entry());
  const row = inner.get(`encrypted|${KEY}`)!;
  inner.put(`encrypted|${KEY}`, { ...row, encrypted: { ...row.encrypted as object, version: 2 } });
  await rejectsWith("decryption_failed", () => encrypted(inner).get(KEY), "Update @validmind/auth");
});

Deno.test("an unreadable entry can be deleted, and then it is absent", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner, { key: SECOND }).put(KEY, entry());
  const backend = encrypted(inner);
  await rejectsWith("encryption_key_unknown", () => backend.get(KEY));
  await backend.delete(KEY);
  assertEquals(await backend.get(KEY), undefined);
});

Deno.test("olderKeys are read with, and rotate() encrypts everything with the current key", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner, { key: FIRST }).put(KEY, entry());
  await encrypted(inner, { key: SECOND }).put(OTHER, entry({ client_id: "other" }));
  const backend = encrypted(inner, { key: THIRD, olderKeys: [FIRST, SECOND] });
  await backend.put("third", entry());
  assertEquals(await backend.get(KEY), entry());
  const { resealed, kept } = await backend.rotate();
  assertEquals([resealed.toSorted(), kept], [[KEY, OTHER].toSorted(), ["third"]]);
  const alone = encrypted(inner, { key: THIRD });
  assertEquals(await alone.get(KEY), entry());
  assertEquals(await alone.get(OTHER), entry({ client_id: "other" }));
  assertEquals(await alone.rotate(), { resealed: [], kept: await Array.fromAsync(alone.list!()) });
});

Deno.test("rotate() does what it can, then tells of the entry that it could not read", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner, { key: SECOND }).put("a", entry());
  await encrypted(inner, { key: FIRST }).put("b", entry());
  const backend = encrypted(inner, { key: THIRD, olderKeys: [FIRST] });
  await rejectsWith("encryption_key_unknown", () => backend.rotate(), '"a"');
  assertEquals(await encrypted(inner, { key: THIRD }).get("b"), entry());
  assertEquals(await encrypted(inner, { key: SECOND }).get("a"), entry());
});

Deno.test("rotate() runs under the lock of each entry, and its signal ends it", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner, { key: SECOND }).put(KEY, entry());
  const backend = encrypted(inner, { olderKeys: [SECOND] });
  let rotation: Promise<unknown> | undefined;
  await backend.withLock!(KEY, async () => {
    rotation = backend.rotate();
    await backend.put(KEY, entry({ access_token: "refreshed meanwhile" }));
  });
  assertEquals(await rotation, { resealed: [], kept: [KEY] });
  assertEquals((await backend.get(KEY))?.access_token, "refreshed meanwhile");
  const error = await backend.rotate({ signal: AbortSignal.abort("enough") }).catch((e) => e);
  assertEquals(error, "enough");
});

Deno.test("rotate() needs a list, and a new key needs a backend that keeps it", async () => {
  await rejectsWith("backend_no_list", () => encrypted(minimal()).rotate());
  await rejectsWith("invalid_options", () => encrypted().rotate({ newKey: true }), "olderKeys");
  await rejectsWith("invalid_options", () => encrypted().rotate({ key: 1 } as never), '"key"');
});

Deno.test("a plain entry is refused, unless it is to be read or ignored", async () => {
  const inner = new MemoryCredentialsBackend();
  inner.put(KEY, entry());
  const words = ["not encrypted", 'plain: "read"', 'plain: "ignore"', "clearOidcCredentials"];
  await rejectsWith("decryption_failed", () => encrypted(inner).get(KEY), KEY, ...words);
  assertEquals(await encrypted(inner, { plain: "read" }).get(KEY), entry());
  assertEquals(await encrypted(inner, { plain: "ignore" }).get(KEY), undefined);
  assertEquals(inner.get(KEY), entry()); // none of it changed anything
});

Deno.test('plain "read" encrypts an entry at its next write, and all by rotate()', async () => {
  const inner = new MemoryCredentialsBackend();
  inner.put(KEY, entry());
  inner.put(OTHER, entry());
  const backend = encrypted(inner, { plain: "read" });
  await backend.put(KEY, entry({ access_token: "second" }));
  assertEquals([inner.get(KEY), inner.get(OTHER)], [undefined, entry()]);
  assertEquals(await backend.rotate(), { resealed: [OTHER], kept: [KEY] });
  assertEquals(
    (await Array.fromAsync(inner.list())).every((n) => n.startsWith("encrypted|")),
    true,
  );
  assertEquals((await encrypted(inner).get(KEY))?.access_token, "second");
  assertEquals(await encrypted(inner).get(OTHER), entry());
});

Deno.test("a sign-out removes a plain entry, too, unless it is another program's", async () => {
  for (const plain of ["refuse", "read", "ignore"] as const) {
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
  for (const plain of ["refuse", "read", "ignore"] as const) {
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

Deno.test("what the inner backend lacks is lacking here, and what it has is passed on", async () => {
  const bare = encrypted(minimal());
  for (const name of ["withLock", "list", "deleteAll", "requiredPermissions"] as const) {
    assertEquals(bare[name], undefined);
    assertFalse(Object.hasOwn(bare, name) && bare[name] !== undefined);
  }
  assertEquals([bare.persistent, bare.location], [undefined, undefined]);
  await bare.close();
  const memory = encrypted();
  assertEquals(memory.persistent, false);
  assertEquals(memory.location, "the memory of this process, encrypted");
  assertEquals(memory.requiredPermissions!(), []);
  const file = encrypted(new FileCredentialsBackend({ path: "/data/t.json" }));
  assertEquals([file.persistent, file.location], [true, "/data/t.json, encrypted"]);
});

for (
  const [plain, locked] of [
    ["refuse", [`encrypted|${KEY}`]],
    ["ignore", [`encrypted|${KEY}`]],
    ["read", [KEY, `encrypted|${KEY}`]], // who writes plain entries locks these
  ] as const
) {
  Deno.test(`with plain "${plain}" withLock locks what is read and written, with its peek`, async () => {
    const inner = new MemoryCredentialsBackend();
    const calls: unknown[] = [];
    const spied: OidcCredentialsBackend = {
      ...minimal(inner),
      withLock: (key, fn, options) => {
        calls.push([key, options?.peek !== undefined, options?.signal !== undefined]);
        return inner.withLock(key, fn, options);
      },
    };
    const { signal } = new AbortController();
    const peek = () => undefined;
    const backend = encrypted(spied, { plain });
    assertEquals(await backend.withLock!(KEY, () => Promise.resolve(7), { signal, peek }), 7);
    assertEquals(calls, locked.map((name) => [name, true, true]));
  });
}

/** A store with leases: it refuses a write of the entry whose lock its holder has lost. */
class LeasedStore extends MemoryCredentialsBackend {
  readonly held = new Set<string>();
  isLost = false;

  override put(key: string, value: OidcCredentials): void {
    if (this.isLost && this.held.has(key)) {
      throw new CredentialsBackendError(
        "backend_locked",
        "Cannot write: the lock was lost. Try again.",
      );
    }
    super.put(key, value);
  }
  override async withLock<T>(key: string, fn: () => Promise<T>): Promise<T> {
    this.held.add(key);
    try {
      return await fn();
    } finally {
      this.held.delete(key);
    }
  }
}

Deno.test("a holder that lost its lock on a store with leases writes nothing any more", async () => {
  for (const plain of ["refuse", "read", "ignore"] as const) {
    const store = new LeasedStore();
    const backend = encrypted(store, { plain });
    await backend.put(KEY, entry());
    await backend.withLock!(KEY, async () => {
      store.isLost = true;
      const put = () => backend.put(KEY, entry({ access_token: "newer" }));
      await rejectsWith("backend_locked", put, "was lost");
    });
    assertEquals(await backend.get(KEY), entry());
  }
});

Deno.test("deleteAll and close reach the inner backend and those of keys", async () => {
  const calls: string[] = [];
  const keys = Object.assign(new MemoryCredentialsBackend(), {
    close: () => void calls.push("key closed"),
  });
  const inner = Object.assign(new MemoryCredentialsBackend(), {
    close: () => void calls.push("inner closed"),
  });
  const backend = encrypted(inner, { key: { backend: keys } });
  await backend.put(KEY, entry());
  await backend.deleteAll!();
  assertEquals(await Array.fromAsync(inner.list()), []);
  await backend.close();
  assertEquals(calls, ["key closed", "inner closed"]);
});

Deno.test({
  name: "what it needs is what the inner backend, the variables and the key's backend need",
  permissions: "none",
  fn() {
    const inner = new FileCredentialsBackend({ path: "/data/t.json" });
    const keys = new FileCredentialsBackend({ path: "/keys/k.json" });
    const backend = encrypted(inner, {
      key: { env: "NEW_KEY" },
      olderKeys: [{ passphrase: { env: "OLD_PASSPHRASE" } }, { backend: keys }, FIRST],
    });
    assertEquals(backend.requiredPermissions!(), [
      ...inner.requiredPermissions(),
      { name: "env", variable: "NEW_KEY" },
      { name: "env", variable: "OLD_PASSPHRASE" },
      ...keys.requiredPermissions(),
    ]);
    const undeclared = encrypted(inner, { olderKeys: [{ backend: minimal() }] });
    assertEquals(undeclared.requiredPermissions, undefined);
  },
});

Deno.test("what the inner backend reports comes as it is", async () => {
  const fault = new CredentialsBackendError(
    "backend_too_large",
    "Cannot store: too large. Shrink.",
  );
  const inner = Object.assign(minimal(), {
    put: () => Promise.reject(fault),
    get: () => Promise.reject(fault),
    delete: () => Promise.reject(fault),
  });
  const backend = encrypted(inner);
  for (
    const run of [
      () => backend.put(KEY, entry()),
      () => backend.get(KEY),
      () => backend.delete(KEY),
    ]
  ) {
    assertEquals(await run().catch((error) => error), fault);
  }
});

Deno.test("keys that a store may stumble over are kept apart and bound to their entries", async () => {
  const backend = encrypted();
  for (const [index, key] of AWKWARD_KEYS.entries()) {
    await backend.put(key, entry({ client_id: String(index) }));
  }
  for (const [index, key] of AWKWARD_KEYS.entries()) {
    assertEquals((await backend.get(key))?.client_id, String(index));
  }
  assertEquals((await Array.fromAsync(backend.list!())).toSorted(), AWKWARD_KEYS.toSorted());
});

const WRONG: [what: string, options: unknown, ...words: string[]][] = [
  ["no options", undefined, "not an object"],
  ["an unknown option", { key: FIRST, password: "x" }, '"password"'],
  ["no key", {}, '"key" is no key'],
  ["a text for a key", { key: "x".repeat(32) }, '"key" is no key'],
  ["a key without a kind", { key: { id: "x" } }, '"key" is no key'],
  ["two kinds of key", { key: { env: "A", bytes: FIRST } }, "bytes"],
  ["a member that its kind has not", { key: { env: "A", iterations: 1 } }, '"iterations"'],
  ["a short key", { key: new Uint8Array(16) }, "16 bytes"],
  ["a key of zeros", { key: new Uint8Array(32) }, "repeat"],
  [
    "a key that is text",
    { key: new TextEncoder().encode("abcdefghijklmnopqrstuvwxyz012345") },
    "text",
  ],
  ["bytes that are none", { key: { bytes: "x" } }, "no bytes"],
  ["a variable without a name", { key: { env: "" } }, "does not name a variable"],
  ["a variable that is a list", { key: { env: "A,B" } }, "does not name a variable"],
  ["an id with a space", { key: { env: "A", id: "a b" } }, "wrong id"],
  [
    "one id for two keys",
    { key: { env: "A", id: "1" }, olderKeys: [{ env: "B", id: "1" }] },
    "one id",
  ],
  ["olderKeys that are no list", { key: FIRST, olderKeys: FIRST }, '"olderKeys" is not an array'],
  ["a wrong older key", { key: FIRST, olderKeys: [SECOND, null] }, "olderKeys[1]"],
  ["a short passphrase", { key: { passphrase: "too short" } }, "12 characters"],
  ["few iterations", { key: { passphrase: "x".repeat(12), iterations: 1000 } }, "600000"],
  ["endless iterations", { key: { passphrase: "x".repeat(12), iterations: 1e9 } }, "10000000"],
  ["another plain", { key: FIRST, plain: true }, '"plain"'],
];

for (const [what, options, ...words] of WRONG) {
  Deno.test({
    name: `the constructor refuses ${what}, without showing it`,
    permissions: "none",
    async fn() {
      const backend = new MemoryCredentialsBackend();
      const full = options === undefined ? undefined : { backend, ...options };
      const error = await rejectsWith(
        "invalid_options",
        () => new EncryptedCredentialsBackend(full as never),
        ...words,
      );
      assertNoSecret(error, ["too short", "abcdefghijklmnopqrstuvwxyz012345"]);
    },
  });
}

Deno.test("the constructor refuses what is no backend", async () => {
  const options = { backend: {}, key: FIRST } as never;
  await rejectsWith("invalid_backend", () => new EncryptedCredentialsBackend(options), '"backend"');
  const key = { backend: new MemoryCredentialsBackend(), key: { backend: "file" } } as never;
  await rejectsWith("invalid_backend", () => new EncryptedCredentialsBackend(key), "key");
});

Deno.test("a later change of the caller's key bytes does not reach the backend", async () => {
  const inner = new MemoryCredentialsBackend();
  const mine = FIRST.slice();
  const backend = encrypted(inner, { key: mine });
  mine.fill(7);
  await backend.put(KEY, entry());
  assertEquals(await encrypted(inner).get(KEY), entry());
  assertNotEquals(mine, FIRST);
});

Deno.test("neither the backend nor its errors show a key, a passphrase or a token", async () => {
  const passphrase = "correct horse battery staple";
  const keys = new MemoryCredentialsBackend();
  const secrets = [...renderings(FIRST), ...renderings(SECOND), passphrase];
  for (const key of [FIRST, { bytes: SECOND }, { passphrase }, { backend: keys }]) {
    const inner = new MemoryCredentialsBackend();
    const backend = encrypted(inner, { key });
    await backend.put(KEY, entry());
    await backend.get(KEY);
    assertNoSecret(backend, secrets);
    const other = encrypted(inner, { key: THIRD });
    assertNoSecret(await rejectsWith("encryption_key_unknown", () => other.get(KEY)), secrets);
    await backend.rotate().then((result) => assertNoSecret(result, secrets));
  }
});

Deno.test("an entry that is no JSON is refused by the caller's fault, and the old one stays", async () => {
  const backend = encrypted();
  await backend.put(KEY, entry());
  const circular: OidcCredentials = entry();
  circular.x_self = circular;
  assert(await backend.put(KEY, circular).catch(() => true));
  assertEquals((await backend.get(KEY))?.access_token, SECRETS.access);
});
