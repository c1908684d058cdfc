import { assert, assertEquals } from "@std/assert";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import { testCredentialsBackend } from "../../backends/testing.ts";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { DAMAGED, encrypted, FIRST, minimal, SECOND, THIRD } from "./encrypted/encrypted_world.ts";
import { renderings, testKey } from "./encrypted/encryption_keys.ts";
import { sealingKey, sealRow } from "../../backends/encrypted/sealed_row.ts";
import { entry, KEY, OTHER, SECRETS } from "../support/entries.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { sandbox } from "../support/sandbox.ts";

const { folder, permissions } = sandbox();

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

Deno.test("a swapped row and one under another key are decryption_failed", async () => {
  const inner = new MemoryCredentialsBackend();
  const backend = encrypted(inner);
  await backend.put(KEY, entry());
  await backend.put(OTHER, entry());
  inner.put(`encrypted|${OTHER}`, inner.get(`encrypted|${KEY}`)!);
  const advice = "If it stays so, remove it with ";
  await rejectsWith(
    "decryption_failed",
    () => backend.get(OTHER),
    OTHER,
    "another credential",
    advice,
  );
  assertEquals(await backend.get(KEY), entry());
});

Deno.test("another key is encryption_key_unknown and names the id", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner).put(KEY, entry());
  const { key_id } = inner.get(`encrypted|${KEY}`)!.encrypted as { key_id: string };
  const other = encrypted(inner, { key: SECOND });
  await rejectsWith("encryption_key_unknown", () => other.get(KEY), KEY, key_id, "olderKeys");
});

Deno.test("an entry whose key had a name of the person's choice is read", async () => {
  const inner = new MemoryCredentialsBackend();
  const key = { ...await sealingKey(await testKey(1)), id: "2026-01" };
  inner.put(`encrypted|${KEY}`, await sealRow(KEY, entry(), key));
  assertEquals(await encrypted(inner, { key: SECOND, olderKeys: [FIRST] }).get(KEY), entry());
  await rejectsWith("encryption_key_unknown", () => encrypted(inner, { key: SECOND }).get(KEY));
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
  const advice = "Update @validmind/auth. If it stays so, remove it with ";
  await rejectsWith("decryption_failed", () => encrypted(inner).get(KEY), advice);
});

Deno.test("an unreadable entry can be deleted, and then it is absent", async () => {
  const inner = new MemoryCredentialsBackend();
  await encrypted(inner, { key: SECOND }).put(KEY, entry());
  const backend = encrypted(inner);
  await rejectsWith("encryption_key_unknown", () => backend.get(KEY));
  await backend.delete(KEY);
  assertEquals(await backend.get(KEY), undefined);
});

for (
  const [plain, locked] of [
    ["refuse", [`encrypted|${KEY}`]],
    ["ignore", [`encrypted|${KEY}`]],
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
  for (const plain of ["refuse", "ignore"] as const) {
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

Deno.test("what it needs is what the inner backend, the variables and the key's backend need", {
  permissions: "none",
}, () => {
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

Deno.test("neither the backend nor its errors show a key, a passphrase or a token", async () => {
  const passphrase = "correct horse battery staple";
  const keys = new MemoryCredentialsBackend();
  const secrets = [...renderings(FIRST), ...renderings(SECOND), passphrase];
  for (const key of [FIRST, SECOND, { passphrase }, { backend: keys }]) {
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

Deno.test("an entry that is no JSON is refused by the caller's fault, and the old one stays", async () => {
  const backend = encrypted();
  await backend.put(KEY, entry());
  const circular: OidcCredentials = entry();
  circular.x_self = circular;
  assert(await backend.put(KEY, circular).catch(() => true));
  assertEquals((await backend.get(KEY))?.access_token, SECRETS.access);
});
