import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { toBase64 } from "../../../backends/common/bytes.ts";
import { EncryptedCredentialsBackend } from "../../../backends/encrypted.ts";
import { fromBase64 } from "../../../backends/common/bytes.ts";
import type { EncryptionKey } from "../../../backends/encrypted/key_source.ts";
import { sealingKey } from "../../../backends/encrypted/sealing.ts";
import { wrapBackend } from "../../../backends/common/wrap_backend.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../../backends/oidc_credentials_backend.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { entry, KEY, OTHER, small } from "../../support/entries.ts";
import { withEnv } from "../../support/own_env.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { replace } from "../../support/replace.ts";
import { isPosix, sandbox } from "../../support/sandbox.ts";
import { SpyBackend } from "../../support/spy_backend.ts";
import { testWith } from "../../support/test_with.ts";
import { minimal } from "../stores.ts";
import {
  changeSealed,
  encrypted,
  FIRST,
  PASSPHRASE,
  passphraseStore,
  sealedIn,
  THIRD,
} from "./encrypted_world.ts";
import { testKey } from "./encryption_keys.ts";

/** Where keys come from: bytes, variables, passphrases, and a store of their own. */

const { folder } = sandbox();
const test = testWith({ permissions: "none" });
const WORDED = { passphrase: PASSPHRASE };

function by(key: EncryptionKey, inner: OidcCredentialsBackend = new MemoryCredentialsBackend()) {
  return encrypted(inner, { key });
}

Deno.test("a key in a variable is the same in hex, base64 and base64url, with white space around it", async () => {
  const inner = new MemoryCredentialsBackend();
  await by(FIRST, inner).put(KEY, entry());
  const base64 = FIRST.toBase64();
  const url = FIRST.toBase64({ alphabet: "base64url" });
  const forms = [base64, base64.slice(0, -1), url, url.slice(0, -1), FIRST.toHex()];
  for (const TEST_KEY of [...forms, FIRST.toHex().toUpperCase(), ` ${base64}\n`]) {
    await withEnv({ TEST_KEY }, async () => {
      assertEquals(await by({ env: "TEST_KEY" }, inner).get(KEY), entry());
    });
  }
});

const BAD: Record<string, string> = {
  "a password": "hunter2hunter2hunter2hunter2hunter2",
  "16 bytes": FIRST.slice(0, 16).toBase64(),
  "33 bytes": new Uint8Array([...FIRST, 1]).toBase64(),
  "zeros": new Uint8Array(32).toBase64(),
  "a repeated pattern": new Uint8Array(32).map((_, i) => i % 4).toHex(),
  "text in base64": btoa("abcdefghijklmnopqrstuvwxyz012345"),
  "two alphabets": "+-".repeat(21) + "A",
  "odd padding": `${FIRST.toBase64().slice(0, -2)}B=`,
  "white space inside": FIRST.toBase64().replace(/^(.{10})/, "$1 "),
  "63 digits": FIRST.toHex().slice(1),
};

for (const [what, TEST_KEY] of Object.entries(BAD)) {
  Deno.test(`a variable with ${what} is env_invalid, and its value is not shown`, () =>
    withEnv({ TEST_KEY }, async () => {
      const words = ["TEST_KEY", "32 random bytes", "openssl rand -base64 32"];
      const put = () => by({ env: "TEST_KEY" }).put(KEY, entry());
      assertNoSecret(await rejectsWith("env_invalid", put, ...words), [TEST_KEY]);
    }));
}

Deno.test("an unset variable is env_unset at the first use, and may be set later", async () => {
  const backend = by({ env: "TEST_KEY" });
  assertEquals(await backend.get(KEY), undefined); // nothing to decrypt yet
  const put = () => backend.put(KEY, entry());
  await rejectsWith("env_unset", put, "TEST_KEY", "that sealed the stored entries");
  await withEnv({ TEST_KEY: FIRST.toHex() }, () => backend.put(KEY, entry()));
  assertEquals(await backend.get(KEY), entry());
  const worded = by({ passphrase: { env: "TEST_KEY" } });
  await rejectsWith("env_unset", () => worded.put(KEY, entry()), "TEST_KEY");
});

Deno.test("a key in a file opens what its bytes sealed, also behind the links of Kubernetes", {
  ignore: !isPosix,
}, async () => {
  const place = folder();
  const inner = new MemoryCredentialsBackend();
  await by(FIRST, inner).put(KEY, entry());
  await Deno.mkdir(`${place}/..now`);
  await Deno.writeTextFile(`${place}/..now/key`, `${FIRST.toBase64()}\n`, { mode: 0o640 });
  await Deno.symlink("..now", `${place}/..data`);
  await Deno.symlink("..data/key", `${place}/key`);
  const backend = by({ file: `${place}/key` }, inner);
  assertEquals(await backend.get(KEY), entry());
  await Deno.remove(place, { recursive: true }); // it was read once
  await backend.put(OTHER, entry());
  assertEquals(await by(FIRST, inner).get(OTHER), entry());
});

Deno.test(
  "a file that holds no key, or that others may write, is named, and its content is not shown",
  { ignore: !isPosix },
  async () => {
    const file = `${folder()}/key`;
    const put = () => by({ file }).put(KEY, entry());
    await rejectsWith("invalid_options", put, file, "it is not there");
    await Deno.writeTextFile(file, BAD["a password"]!, { mode: 0o600 });
    const error = await rejectsWith("invalid_options", put, file, "openssl rand -base64 32");
    assertNoSecret(error, [BAD["a password"]!]);
    await Deno.writeTextFile(file, FIRST.toHex());
    await Deno.chmod(file, 0o622);
    await rejectsWith("invalid_options", put, file, "chmod");
    const relative = () => Promise.try(by, { file: "~/key" });
    await rejectsWith("invalid_options", relative, 'option "file"');
  },
);

const DENIED: [EncryptionKey, flag: string][] = [
  [{ env: "TEST_KEY" }, "--allow-env=TEST_KEY"],
  [{ file: "/run/a-key" }, "--allow-read=/run/a-key"],
  [{ passphrase: { env: "TEST_KEY" } }, "--allow-env=TEST_KEY"],
];

test("a variable or a file that Deno denies is permission_required and names the flag", async () => {
  for (const [key, flag] of DENIED) {
    await rejectsWith("permission_required", () => by(key).put(KEY, entry()), flag);
  }
});

Deno.test("a passphrase opens what it sealed, however it is composed, also from a variable", async () => {
  const inner = new MemoryCredentialsBackend();
  const composed = "größe und übermut"; // as a keyboard gives it, and taken apart
  await by({ passphrase: composed.normalize("NFC") }, inner).put(KEY, entry());
  const { iterations, salt } = sealedIn(inner).pbkdf2;
  assertEquals([iterations, Uint8Array.fromBase64(salt).length], [600_000, 16]);
  await withEnv({ TEST_PASSPHRASE: composed.normalize("NFD") }, async () => {
    const backend = by({ passphrase: { env: "TEST_PASSPHRASE" } }, inner);
    assertEquals(await backend.get(KEY), entry());
  });
});

Deno.test("a passphrase is hashed once for all entries, with the salt of the one that was read", async () => {
  const inner = await passphraseStore();
  const { pbkdf2 } = sealedIn(inner);
  const later = by(WORDED, inner);
  await later.get(KEY);
  await Promise.all([later.put(KEY, entry()), later.put(OTHER, entry())]);
  assertEquals([sealedIn(inner).pbkdf2, sealedIn(inner, OTHER).pbkdf2], [pbkdf2, pbkdf2]);
  const wrong = by({ passphrase: "nineteen violet umbrellas" }, inner);
  const error = await rejectsWith("encryption_key_unknown", () => wrong.get(KEY), "passphrase");
  assertNoSecret(error, [PASSPHRASE, "nineteen violet umbrellas"]);
  await withEnv({ TEST_PASSPHRASE: "short" }, async () => {
    const get = () => by({ passphrase: { env: "TEST_PASSPHRASE" } }, inner).get(KEY);
    await rejectsWith("invalid_options", get, "12 characters");
  });
});

Deno.test("a salt of an entry that does not open is not written with", async () => {
  const inner = await passphraseStore();
  const salt = new Uint8Array(16).toBase64();
  changeSealed(inner, { pbkdf2: { iterations: 700_000, salt } });
  const backend = by(WORDED, inner);
  await rejectsWith("encryption_key_unknown", () => backend.get(KEY));
  await backend.put(OTHER, entry());
  assertNotEquals(sealedIn(inner, OTHER).pbkdf2.salt, salt);
});

Deno.test("keys of all kinds stand side by side in olderKeys, and are counted", async () => {
  const inner = await passphraseStore();
  const stored = { backend: new MemoryCredentialsBackend() };
  await by(stored, inner).put("stored", entry());
  await by(FIRST, inner).put("first", entry());
  await by(THIRD, inner).put("third", entry());
  inner.put("plain", entry());
  const key = await testKey(7);
  const backend = new EncryptedCredentialsBackend({
    backend: inner,
    key,
    olderKeys: [FIRST, WORDED, stored, await testKey(8)],
  });
  assertEquals(await backend.keyUse(), { key: 0, olderKeys: [1, 1, 1, 0], unknown: 1 });
  for (const name of [KEY, "stored", "first"]) {
    assertEquals(await backend.get(name), entry());
    await backend.put(name, entry()); // under the present key
    assertEquals(await by(key, inner).get(name), entry());
  }
  await rejectsWith("encryption_key_unknown", () => backend.get("third"), "olderKeys");
  assertEquals(await backend.keyUse(), { key: 3, olderKeys: [0, 0, 0, 0], unknown: 1 });
  await rejectsWith("backend_no_list", () => encrypted(minimal()).keyUse(), "Keep all keys");
  let isClosed = false;
  Object.assign(stored.backend, { close: () => void (isClosed = true) });
  await backend.close();
  assertEquals(isClosed, true);
});

function pair(inner = new MemoryCredentialsBackend(), keys = new MemoryCredentialsBackend()) {
  return { inner, keys, open: () => by({ backend: keys }, inner) };
}

Deno.test("a key is made at the first write, kept in its backend, and found by a later start", async () => {
  const { keys, open } = pair();
  assertEquals(await open().get(KEY), undefined);
  assertEquals(await Array.fromAsync(keys.list()), []); // reading makes none
  const first = open();
  await Promise.all([1, 2, 3, 4].map((number) => first.put(`${number}`, small("x"))));
  await open().put(KEY, entry());
  assertEquals(await Array.fromAsync(keys.list()), ["encryption-key"]);
  assertEquals(await open().get(KEY), entry());
});

Deno.test("a key that can only be read serves a write", async () => {
  const { inner, keys, open } = pair();
  await open().put(KEY, entry());
  const fail = () => Promise.reject(new Error("read-only"));
  const readOnly = { ...minimal(keys), put: fail, withLock: fail };
  await by({ backend: readOnly }, inner).put("other", entry());
  assertEquals(await open().get("other"), entry());
});

Deno.test("a lost key is encryption_key_unknown to reads and to writes in place of an entry", async () => {
  const { keys, open } = pair();
  await open().put(KEY, entry());
  keys.deleteAll();
  await rejectsWith("encryption_key_unknown", () => open().get(KEY), KEY);
  const refresh = () => open().put(KEY, entry(), { isReplaced: () => true });
  // The command opens the default store: a store in code has a way out of its own.
  const ways = ["validmind-auth logout", "clearOidcCredentials({ credentialsBackend })"];
  await rejectsWith("encryption_key_unknown", refresh, ...ways);
  await open().delete(KEY);
  await open().put(KEY, entry());
  assertEquals(await open().get(KEY), entry());
});

Deno.test("a damaged or swapped key row is a lost key, and one that is no entry an error", async () => {
  const { inner, keys, open } = pair();
  await open().put(KEY, entry());
  const { key_id } = sealedIn(inner);
  const good = keys.get("encryption-key")!;
  for (const encryption_key of [(await testKey(9)).toBase64(), "AAAA", "", undefined, 7]) {
    keys.put("encryption-key", { ...small("x"), encryption_key });
    await rejectsWith("encryption_key_unknown", () => open().get(KEY), key_id!);
  }
  keys.put("encryption-key", good);
  const names = await Array.fromAsync(keys.list());
  const text = (key: string) => JSON.stringify(keys.get(key)) as unknown as OidcCredentials;
  // Where no list tells that entries need the key.
  const backend = by({ backend: { ...minimal(keys), get: text } }, minimal(inner));
  const words = ["gave a string, not an entry", "Nothing was changed"];
  await rejectsWith("backend_corrupt", () => backend.get(KEY), ...words);
  await rejectsWith("backend_corrupt", () => backend.put(KEY, entry()), ...words);
  assertEquals([await Array.fromAsync(keys.list()), await open().get(KEY)], [names, entry()]);
});

Deno.test("a stored key is read once, and again for an entry of another key", async () => {
  const inner = new MemoryCredentialsBackend();
  const keys = new SpyBackend();
  await by({ backend: keys }, inner).put(KEY, entry());
  keys.calls.length = 0;
  const backend = by({ backend: keys }, inner);
  for (const _ of [1, 2]) await backend.get(KEY);
  assertEquals(keys.calls, ["get"]); // a keychain may ask the person each time
  keys.rows.clear();
  await by({ backend: keys }, inner).put(KEY, entry()); // by another process
  assertEquals(await backend.get(KEY), entry());
});

Deno.test("two that make the first key at once have one, by the lock of its store", async () => {
  const { inner, keys } = pair();
  const get = async (key: string) => {
    const found = keys.get(key);
    await new Promise((resolve) => setTimeout(resolve)); // both look before one has written
    return found;
  };
  const stores = [KEY, OTHER].map((key) => {
    const backend = by({ backend: wrapBackend(keys, { get }) }, inner);
    return backend.put(key, entry());
  });
  await Promise.all(stores);
  for (const key of [KEY, OTHER]) {
    assertEquals(await by({ backend: keys }, inner).get(key), entry());
  }
});

/** What somebody may do to a stored row. */

/** What a read comes to after the change of the row. */
async function readAfter(change: object, key: object = FIRST): Promise<unknown> {
  const inner = key === FIRST ? new MemoryCredentialsBackend() : await passphraseStore();
  const backend = encrypted(inner, { key: key as Uint8Array });
  if (key === FIRST) await backend.put(KEY, entry());
  const fields = Object.entries(change).map(([field, to]) => [
    field,
    typeof to === "function" ? to(sealedIn(inner)[field]) : to,
  ]);
  changeSealed(inner, Object.fromEntries(fields));
  return await backend.get(KEY).catch(({ code }) => code);
}

test("an entry is sealed differently each time", async () => {
  const inner = new MemoryCredentialsBackend();
  const backend = encrypted(inner);
  await backend.put(KEY, entry());
  const { nonce, ciphertext, key_id } = sealedIn(inner);
  await backend.put(KEY, entry());
  const second = sealedIn(inner);
  assertEquals(second.key_id, key_id);
  assertNotEquals([second.nonce, second.ciphertext], [nonce, ciphertext]);
  assertEquals(Uint8Array.fromBase64(nonce!).length, 12);
});

test("every flipped bit of the nonce, the ciphertext and the tag is decryption_failed", async () => {
  const inner = new MemoryCredentialsBackend();
  const backend = encrypted(inner);
  await backend.put(KEY, entry());
  for (const field of ["nonce", "ciphertext"]) {
    const original = sealedIn(inner)[field]!;
    const bytes = Uint8Array.fromBase64(original);
    for (let byte = 0; byte < bytes.length; byte++) {
      const changed = bytes.slice();
      changed[byte]! ^= 1 << (byte & 7);
      changeSealed(inner, { [field]: changed.toBase64() });
      const code = await backend.get(KEY).catch(({ code }) => code);
      assertEquals(code, "decryption_failed", `${field}, byte ${byte}`);
    }
    changeSealed(inner, { [field]: original });
  }
  assertEquals(await backend.get(KEY), entry());
});

test("a row that is cut, emptied or retyped is decryption_failed", async () => {
  const odd = [undefined, null, "", "AA", 7, {}, [], "AAAA AAAAAAAAAAAA", "====", "A".repeat(17)];
  for (const field of ["version", "nonce", "ciphertext", "key_id"]) {
    for (const value of odd) {
      const isId = field === "key_id" && typeof value === "string";
      const code = isId ? "encryption_key_unknown" : "decryption_failed";
      assertEquals(await readAfter({ [field]: value }), code, `${field}: ${value}`);
    }
  }
  for (const nonce of ["AAAA".repeat(3), "AAAA".repeat(5), "-_AA".repeat(4)]) {
    assertEquals(await readAfter({ nonce }), "decryption_failed");
  }
  for (let length = 0; length < 40; length++) {
    const ciphertext = (text: string) => Uint8Array.fromBase64(text).slice(0, length).toBase64();
    assertEquals(await readAfter({ ciphertext }), "decryption_failed");
  }
});

test("how a key was derived is bound to the entry, and neither weak nor endless", async () => {
  const read = (change: object) =>
    readAfter(
      { pbkdf2: (present: object) => ({ ...present, ...change }) },
      { passphrase: PASSPHRASE },
    );
  const { deriveBits } = crypto.subtle;
  let hashed = 0;
  using _ = replace(crypto.subtle, "deriveBits", (algorithm, ...rest) => {
    if ((algorithm as Algorithm).name === "PBKDF2") hashed++;
    return deriveBits.call(crypto.subtle, algorithm, ...rest);
  });
  const endless = [2_000_001, 1e300];
  await passphraseStore();
  hashed = 0;
  for (const iterations of [0, 1, 599_999, -1, 600_000.5, "600000", null, ...endless]) {
    assertEquals(await read({ iterations }), "decryption_failed");
  }
  const zeros = (length: number) => new Uint8Array(length).toBase64();
  for (const salt of ["", "AAAA", zeros(15), zeros(64)]) {
    assertEquals(await read({ salt }), "decryption_failed");
  }
  assertEquals(hashed, 0);
  assertEquals(await read({ salt: zeros(16) }), "encryption_key_unknown");
  assertEquals(await read({ iterations: 600_001 }), "encryption_key_unknown");
  const none = await readAfter({ pbkdf2: undefined }, { passphrase: PASSPHRASE });
  assertEquals(none, "encryption_key_unknown");
  const pbkdf2 = { iterations: 600_000, salt: zeros(16) };
  assertEquals(await readAfter({ pbkdf2 }), "encryption_key_unknown");
});

Deno.test("an id is a fingerprint of the key, which cannot be taken out again and is wiped", async () => {
  const bytes = await testKey(1);
  const { id, aes } = await sealingKey(bytes);
  assertEquals([aes.extractable, bytes], [false, new Uint8Array(32)]);
  assertEquals(id, (await sealingKey(await testKey(1))).id);
  assertNotEquals(id, (await sealingKey(await testKey(2))).id);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", FIRST)).toHex();
  assert(id.length === 16 && !hash.includes(id) && !FIRST.toHex().includes(id));
});

for (const isNative of [true, false]) {
  test(`base64 has one form for each value, ${isNative ? "with" : "without"} new functions`, () => {
    // Node before 25 has neither.
    using _from = isNative ? null : replace(Uint8Array, "fromBase64", undefined!);
    using _to = isNative ? null : replace(Uint8Array.prototype, "toBase64", undefined!);
    for (const text of ["", "AA==", "AAA=", "AAAA", "AAAA/w==", "/+8="]) {
      assertEquals(toBase64(fromBase64(text)!), text);
    }
    const others = ["AAA", "AAB=", " AAA=", "AA A=", "AAA=\n", "AAA==", "-_-_", 7, undefined];
    others.push("AA  ", "A A=", " AA=", "AA\n=", "AAAAAA  ", "A AAAAA=", "    ", "AB==");
    for (const text of others) assertEquals(fromBase64(text), undefined, String(text));
  });
}
