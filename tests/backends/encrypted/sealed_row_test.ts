/** What somebody may do to a stored row. */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import { fromBase64, sealingKey } from "../../../backends/encrypted/sealing.ts";
import { toBase64 } from "../../../backends/common/printable.ts";
import { entry, KEY } from "../../support/entries.ts";
import {
  changeSealed,
  encrypted,
  FIRST,
  PASSPHRASE,
  passphraseStore,
  sealedIn,
} from "./encrypted_world.ts";
import { testKey } from "./encryption_keys.ts";

const permissions = "none";

function test(name: string, fn: () => void | Promise<void>): void {
  Deno.test(name, { permissions }, fn);
}

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
  crypto.subtle.deriveBits = (algorithm, ...rest) => {
    if ((algorithm as Algorithm).name === "PBKDF2") hashed++;
    return deriveBits.call(crypto.subtle, algorithm, ...rest);
  };
  const endless = [2_000_001, 1e300];
  try {
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
  } finally {
    crypto.subtle.deriveBits = deriveBits;
  }
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

const { fromBase64: native } = Uint8Array;
const { toBase64: nativeToBase64 } = Uint8Array.prototype;

for (const isNative of [true, false]) {
  test(`base64 has one form for each value, ${isNative ? "with" : "without"} new functions`, () => {
    if (!isNative) { // Node before 25
      Reflect.deleteProperty(Uint8Array, "fromBase64");
      Reflect.deleteProperty(Uint8Array.prototype, "toBase64");
    }
    try {
      for (const text of ["", "AA==", "AAA=", "AAAA", "AAAA/w==", "/+8="]) {
        assertEquals(toBase64(fromBase64(text)!), text);
      }
      const others = ["AAA", "AAB=", " AAA=", "AA A=", "AAA=\n", "AAA==", "-_-_", 7, undefined];
      others.push("AA  ", "A A=", " AA=", "AA\n=", "AAAAAA  ", "A AAAAA=", "    ", "AB==");
      for (const text of others) assertEquals(fromBase64(text), undefined, String(text));
    } finally {
      Object.assign(Uint8Array, { fromBase64: native });
      Object.assign(Uint8Array.prototype, { toBase64: nativeToBase64 });
    }
  });
}
