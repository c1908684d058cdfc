import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { EncryptedCredentialsBackend } from "../../../backends/encrypted.ts";
import type { EncryptionKey } from "../../../backends/encrypted/key_source.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import { sealingKey } from "../../../backends/encrypted/sealed_row.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { backendUrl, runDeno } from "../../support/deno_process.ts";
import { testKey } from "./encryption_keys.ts";
import { entry, KEY, OTHER } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { withEnv } from "../../support/own_env.ts";

const FIRST = await testKey(1);
const PASSPHRASE = "correct horse battery staple";

function encrypted(backend: MemoryCredentialsBackend, key: EncryptionKey) {
  return new EncryptedCredentialsBackend({ backend, key });
}

function idIn(inner: MemoryCredentialsBackend, key = KEY): string {
  return (inner.get(`encrypted|${key}`)?.encrypted as { key_id: string }).key_id;
}

function saltIn(inner: MemoryCredentialsBackend, key = KEY): string {
  return (inner.get(`encrypted|${key}`)?.encrypted as { pbkdf2: { salt: string } }).pbkdf2.salt;
}

Deno.test(
  "a key in a variable is the same in hex, base64 and base64url, with white space around it",
  { permissions: { env: true } },
  async () => {
    const inner = new MemoryCredentialsBackend();
    await encrypted(inner, FIRST).put(KEY, entry());
    const base64 = FIRST.toBase64();
    const url = FIRST.toBase64({ alphabet: "base64url" });
    const forms = [base64, base64.slice(0, -1), url, url.slice(0, -1), FIRST.toHex()];
    for (const TEST_KEY of [...forms, FIRST.toHex().toUpperCase(), ` ${base64}\n`]) {
      await withEnv({ TEST_KEY }, async () => {
        assertEquals(await encrypted(inner, { env: "TEST_KEY" }).get(KEY), entry());
      });
    }
  },
);

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
  Deno.test(`a variable with ${what} is env_invalid, and its value is not shown`, {
    permissions: { env: true },
  }, async () => {
    const backend = encrypted(new MemoryCredentialsBackend(), { env: "TEST_KEY" });
    await withEnv({ TEST_KEY }, async () => {
      const words = ["TEST_KEY", "32 random bytes", "openssl rand -base64 32"];
      const error = await rejectsWith("env_invalid", () => backend.put(KEY, entry()), ...words);
      assertNoSecret(error, [TEST_KEY]);
    });
  });
}

Deno.test("an unset variable is env_unset at the first use, and may be set later", {
  permissions: { env: true },
}, async () => {
  const backend = encrypted(new MemoryCredentialsBackend(), { env: "TEST_KEY" });
  assertEquals(await backend.get(KEY), undefined); // nothing to decrypt yet
  await rejectsWith("env_unset", () => backend.put(KEY, entry()), "TEST_KEY");
  await withEnv({ TEST_KEY: FIRST.toHex() }, () => backend.put(KEY, entry()));
  assertEquals(await backend.get(KEY), entry());
  const other = encrypted(new MemoryCredentialsBackend(), { passphrase: { env: "TEST_KEY" } });
  await rejectsWith("env_unset", () => other.put(KEY, entry()), "TEST_KEY");
});

Deno.test("a variable that Deno denies is permission_required and names the flag", async () => {
  const code = `
    import { EncryptedCredentialsBackend } from "${backendUrl("encrypted.ts")}";
    import { MemoryCredentialsBackend } from "${backendUrl("memory.ts")}";
    for (const key of [{ env: "TEST_KEY" }, { passphrase: { env: "TEST_KEY" } }]) {
      const backend = new EncryptedCredentialsBackend({ backend: new MemoryCredentialsBackend(), key });
      try {
        await backend.put("k", { issuer: "i", client_id: "c", access_token: "t" });
        console.log("stored");
      } catch (error) {
        console.log(error.code, error.message);
      }
    }
  `;
  const env = { TEST_KEY: FIRST.toHex() };
  const denied = (await runDeno({ code, env })).stdout.trim().split("\n");
  assertEquals(denied.length, 2);
  for (const line of denied) {
    assert(line.startsWith("permission_required") && line.includes("--allow-env=TEST_KEY"), line);
  }
  const { stdout } = await runDeno({ code, env, flags: ["--allow-env=TEST_KEY"] });
  assertEquals(stdout, "stored\nstored\n");
});

Deno.test("the id is a fingerprint of the key, which is neither its start nor its plain hash", async () => {
  const { id } = await sealingKey(await testKey(1));
  assertEquals(id, (await sealingKey(await testKey(1))).id);
  assertNotEquals(id, (await sealingKey(await testKey(2))).id);
  assertEquals(id.length, 16);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", FIRST)).toHex();
  assert(!hash.includes(id) && !FIRST.toHex().includes(id));
});

Deno.test("a key cannot be taken out again, and the bytes that it came from are wiped", async () => {
  const bytes = await testKey();
  const { aes } = await sealingKey(bytes);
  assertEquals([aes.extractable, aes.usages.toSorted()], [false, ["decrypt", "encrypt"]]);
  assertEquals(bytes, new Uint8Array(32));
});

Deno.test("a passphrase opens what it sealed, in another instance and however it is composed", async () => {
  const inner = new MemoryCredentialsBackend();
  const composed = "größe und übermut"; // as a keyboard gives it, and taken apart
  await encrypted(inner, { passphrase: composed.normalize("NFC") }).put(KEY, entry());
  const { pbkdf2 } = inner.get(`encrypted|${KEY}`)!.encrypted as Record<string, unknown>;
  assertEquals(pbkdf2, { iterations: 600_000, salt: saltIn(inner) });
  const other = encrypted(inner, { passphrase: composed.normalize("NFD") });
  assertEquals(await other.get(KEY), entry());
});

Deno.test("another passphrase is encryption_key_unknown, and not shown", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner, { passphrase: PASSPHRASE }).put(KEY, entry());
  const other = encrypted(inner, { passphrase: "nineteen violet umbrellas" });
  const error = await rejectsWith("encryption_key_unknown", () => other.get(KEY), "passphrase");
  assertNoSecret(error, ["nineteen violet umbrellas", PASSPHRASE]);
});

Deno.test("a start derives once for all entries: it writes with the salt that it has read", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner, { passphrase: PASSPHRASE }).put(KEY, entry());
  const later = encrypted(inner, { passphrase: PASSPHRASE });
  await later.get(KEY);
  await later.put(OTHER, entry());
  assertEquals(saltIn(inner, OTHER), saltIn(inner));
});

Deno.test("a salt of an entry that does not open is not written with", async () => {
  const inner = new MemoryCredentialsBackend();
  const key = { passphrase: PASSPHRASE };
  await encrypted(inner, key).put(KEY, entry());
  const row = inner.get(`encrypted|${KEY}`)!;
  const salt = new Uint8Array(16).toBase64();
  const pbkdf2 = { iterations: 700_000, salt };
  inner.put(`encrypted|${KEY}`, { ...row, encrypted: { ...row.encrypted as object, pbkdf2 } });
  const backend = encrypted(inner, key);
  await rejectsWith("encryption_key_unknown", () => backend.get(KEY));
  await backend.put(OTHER, entry());
  assertNotEquals(saltIn(inner, OTHER), salt);
});

Deno.test("a passphrase comes from a variable", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner, { passphrase: PASSPHRASE }).put(KEY, entry());
  await withEnv({ TEST_PASSPHRASE: PASSPHRASE }, async () => {
    const backend = encrypted(inner, { passphrase: { env: "TEST_PASSPHRASE" } });
    assertEquals(await backend.get(KEY), entry());
  });
});

Deno.test("keys of all kinds stand side by side in olderKeys", async () => {
  const inner = new MemoryCredentialsBackend();
  const keys = new MemoryCredentialsBackend();
  const kinds: EncryptionKey[] = [
    FIRST,
    { passphrase: PASSPHRASE },
    { passphrase: "nineteen violet umbrellas" },
    await testKey(2),
  ];
  await encrypted(inner, { backend: keys }).put("stored", entry());
  for (const [index, key] of kinds.entries()) await encrypted(inner, key).put(`${index}`, entry());
  const backend = new EncryptedCredentialsBackend({
    backend: inner,
    key: await testKey(3),
    olderKeys: [...kinds, { backend: keys }],
  });
  for (const name of ["0", "1", "2", "3", "stored"]) {
    assertEquals(await backend.get(name), entry());
    await backend.put(name, entry());
  }
  assertEquals(idIn(inner, "0"), idIn(inner, "stored"));
});

Deno.test("an entry cannot have a passphrase hashed more often than 2,000,000 times", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner, { passphrase: PASSPHRASE }).put(KEY, entry());
  const row = inner.get(`encrypted|${KEY}`)!;
  const pbkdf2 = { iterations: 2_000_001, salt: saltIn(inner) };
  inner.put(`encrypted|${KEY}`, { ...row, encrypted: { ...row.encrypted as object, pbkdf2 } });
  const hashed: unknown[] = [];
  const { deriveBits } = crypto.subtle;
  crypto.subtle.deriveBits = (algorithm, ...rest) => {
    hashed.push(algorithm);
    return deriveBits.call(crypto.subtle, algorithm, ...rest);
  };
  try {
    const get = () => encrypted(inner, { passphrase: PASSPHRASE }).get(KEY);
    await rejectsWith("decryption_failed", get, "damaged");
    assertEquals(hashed, []);
  } finally {
    crypto.subtle.deriveBits = deriveBits;
  }
});
