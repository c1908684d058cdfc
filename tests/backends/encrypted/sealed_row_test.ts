import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { EncryptedCredentialsBackend } from "../../../backends/encrypted.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import {
  fromBase64,
  openSealed,
  sealedIn,
  sealingKey,
  sealRow,
} from "../../../backends/encrypted/sealed_row.ts";
import { toBase64 } from "../../../backends/common/printable.ts";
import { testKey } from "./encryption_keys.ts";
import { entry, KEY } from "../../support/entries.ts";

const permissions = "none";
const PASSPHRASE = { passphrase: "correct horse battery staple" };

/** What a read of a changed row came to. */
async function readChanged(
  key: ConstructorParameters<typeof EncryptedCredentialsBackend>[0]["key"],
  change: (encrypted: Record<string, unknown>) => void,
): Promise<unknown> {
  const inner = new MemoryCredentialsBackend();
  const backend = new EncryptedCredentialsBackend({ backend: inner, key });
  await backend.put(KEY, entry());
  const row = inner.get(`encrypted|${KEY}`)!;
  change(row.encrypted as Record<string, unknown>);
  inner.put(`encrypted|${KEY}`, row);
  try {
    return await backend.get(KEY);
  } catch (error) {
    return (error as { code: string }).code;
  }
}

function flipBit(base64: string, bit: number): string {
  const bytes = Uint8Array.fromBase64(base64);
  bytes[bit >> 3]! ^= 1 << (bit & 7);
  return bytes.toBase64();
}

Deno.test("any entry under any key comes back, and is sealed differently each time", {
  permissions,
}, async () => {
  const key = await sealingKey(await testKey());
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "binary" }), fc.json(), async (name, json) => {
      const stored = entry({ x_more: JSON.parse(json) });
      const [one, two] = [await sealRow(name, stored, key), await sealRow(name, stored, key)];
      const sealed = sealedIn(JSON.parse(JSON.stringify(one)))!;
      assertEquals(await openSealed(name, sealed, key), JSON.parse(JSON.stringify(stored)));
      assert(sealed.ciphertext !== sealedIn(two)!.ciphertext);
    }),
  );
});

Deno.test("every flipped bit of the nonce, the ciphertext and the tag is decryption_failed", {
  permissions,
}, async () => {
  const key = await sealingKey(await testKey());
  const sealed = sealedIn(await sealRow(KEY, entry(), key))!;
  for (const field of ["nonce", "ciphertext"] as const) {
    const bits = Uint8Array.fromBase64(sealed[field]).length * 8;
    for (let bit = 0; bit < bits; bit++) {
      const changed = { ...sealed, [field]: flipBit(sealed[field], bit) };
      assertEquals(await openSealed(KEY, changed, key), undefined, `${field}, bit ${bit}`);
    }
  }
  const key2 = await testKey();
  assertEquals(
    await readChanged(key2, (row) => row.nonce = flipBit(row.nonce as string, 5)),
    "decryption_failed",
  );
});

Deno.test("every changed character of what is stored is a coded error, whatever it becomes", {
  permissions,
}, async () => {
  const key = await testKey();
  const fields = fc.constantFrom("nonce", "ciphertext", "key_id");
  const at = fc.nat({ max: 100_000 });
  await fc.assert(
    fc.asyncProperty(
      fields,
      at,
      fc.string({ minLength: 1, maxLength: 1 }),
      async (field, at, to) => {
        let isSame = false;
        const read = await readChanged(key, (row) => {
          const text = row[field] as string;
          const index = at % text.length;
          isSame = text[index] === to;
          row[field] = text.slice(0, index) + to + text.slice(index + 1);
        });
        if (isSame) return assertEquals(read, entry());
        assert(read === "decryption_failed" || read === "encryption_key_unknown", String(read));
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test(
  "a row that is cut, emptied or retyped is decryption_failed",
  { permissions },
  async () => {
    const key = await testKey();
    const odd = [undefined, null, "", "AA", 7, {}, [], "AAAA AAAAAAAAAAAA", "====", "A".repeat(17)];
    for (const field of ["version", "nonce", "ciphertext", "key_id"]) {
      for (const value of odd) {
        const read = await readChanged(key, (row) => row[field] = value);
        const isId = field === "key_id" && typeof value === "string";
        assertEquals(
          read,
          isId ? "encryption_key_unknown" : "decryption_failed",
          `${field}: ${value}`,
        );
      }
    }
    for (let cut = 0; cut < 40; cut++) {
      const read = await readChanged(key, (row) => {
        const bytes = Uint8Array.fromBase64(row.ciphertext as string);
        row.ciphertext = bytes.slice(0, cut).toBase64();
      });
      assertEquals(read, "decryption_failed");
    }
  },
);

Deno.test("how a key was derived is bound to the entry, and neither weak nor endless", {
  permissions,
}, async () => {
  const set = (change: Record<string, unknown>) => (row: Record<string, unknown>) => {
    row.pbkdf2 = { ...row.pbkdf2 as object, ...change };
  };
  for (const iterations of [0, 1, 599_999, 1e300, -1, 600_000.5, "600000", null]) {
    assertEquals(await readChanged(PASSPHRASE, set({ iterations })), "decryption_failed");
  }
  for (const salt of ["", "AAAA", new Uint8Array(15).toBase64(), new Uint8Array(64).toBase64()]) {
    assertEquals(await readChanged(PASSPHRASE, set({ salt })), "decryption_failed");
  }
  const otherSalt = { salt: new Uint8Array(16).toBase64() };
  assertEquals(await readChanged(PASSPHRASE, set(otherSalt)), "encryption_key_unknown");
  const more = { iterations: 600_001 };
  assertEquals(await readChanged(PASSPHRASE, set(more)), "encryption_key_unknown");
  const endless = { iterations: 10_000_001 };
  assertEquals(await readChanged(PASSPHRASE, set(endless)), "decryption_failed");
  assertEquals(
    await readChanged(PASSPHRASE, (row) => delete row.pbkdf2),
    "encryption_key_unknown",
  );
  const raw = await testKey();
  assertEquals(
    await readChanged(raw, (row) => row.pbkdf2 = { iterations: 600_000, ...otherSalt }),
    "encryption_key_unknown",
  );
});

Deno.test("the id and the derivation are authenticated: the right key alone is not enough", {
  permissions,
}, async () => {
  const key = { ...await sealingKey(await testKey()), id: "mine" };
  const sealed = sealedIn(await sealRow(KEY, entry(), key))!;
  const pbkdf2 = { iterations: 600_000, salt: new Uint8Array(16).toBase64() };
  assertEquals(await openSealed(KEY, { ...sealed, key_id: "other" }, key), undefined);
  assertEquals(await openSealed(KEY, { ...sealed, pbkdf2 }, key), undefined);
  assertEquals(await openSealed(`${KEY}|`, sealed, key), undefined);
  assertEquals(await openSealed(KEY, sealed, key), entry());
});

const { fromBase64: native } = Uint8Array;
const { toBase64: nativeToBase64 } = Uint8Array.prototype;

for (const isNative of [true, false]) {
  Deno.test(
    `base64 has one form for each value, ${isNative ? "also" : "or"} without the new functions`,
    { permissions },
    () => {
      if (!isNative) {
        Reflect.deleteProperty(Uint8Array, "fromBase64");
        Reflect.deleteProperty(Uint8Array.prototype, "toBase64");
      }
      try {
        for (const text of ["", "AA==", "AAA=", "AAAA", "AAAA/w==", "/+8="]) {
          assertEquals(toBase64(fromBase64(text)!), text);
        }
        const others = ["AAA", "AAB=", " AAA=", "AA A=", "AAA=\n", "AAA==", "-_-_", 7, undefined];
        others.push(
          "AA  ",
          "A A=",
          " AA=",
          "AA\n=",
          "AAA ",
          "AAAAAA  ",
          "A AAAAA=",
          "    ",
          "AB==",
        );
        for (const text of others) assertEquals(fromBase64(text), undefined, String(text));
      } finally {
        Object.assign(Uint8Array, { fromBase64: native });
        Object.assign(Uint8Array.prototype, { toBase64: nativeToBase64 });
      }
    },
  );
}

Deno.test("a nonce has 12 bytes, in base64", async () => {
  const row = await sealRow(KEY, entry(), await sealingKey(await testKey()));
  const withNonce = (nonce: unknown) =>
    sealedIn({ ...row, encrypted: { ...row.encrypted as object, nonce } });
  for (const nonce of ["+/".repeat(8), "Az09".repeat(4)]) {
    assertEquals(withNonce(nonce)?.nonce, nonce);
  }
  for (
    const nonce of ["AAAA".repeat(3), "AAAA".repeat(5), "-_AA".repeat(4), "AAAAAAAAAAAAAAA=", 7]
  ) {
    assertEquals(withNonce(nonce), undefined, `${nonce}`);
  }
});
