import * as fc from "fast-check";
import { assert, assertEquals, assertMatch, equal } from "@std/assert";
import { parseObject } from "../../../backends/common/json.ts";
import type { CredentialsBackendError } from "../../../backends/credentials_backend_error.ts";
import { EncryptedCredentialsBackend } from "../../../backends/encrypted.ts";
import { FallbackCredentialsBackend } from "../../../backends/fallback.ts";
import { FileCredentialsBackend } from "../../../backends/file.ts";
import { KvCredentialsBackend } from "../../../backends/kv.ts";
import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type { OidcCredentials } from "../../../backends/oidc_credentials_backend.ts";
import { VaultCredentialsBackend } from "../../../backends/vault.ts";
import { describeEntry } from "../../../client/cli/commands/status.ts";
import { bearerOf, coversScope, freshUntil, readClaims } from "../../../client/entry/bearer.ts";
import { toEntry } from "../../../client/tokens/new_entry.ts";
import { entry, KEY, OTHER, SECRETS } from "../../support/entries.ts";
import { replace } from "../../support/replace.ts";
import {
  httpAnswer,
  json,
  texts,
  toResponse,
  value,
  variant,
  withoutSecrets,
} from "./arbitraries.ts";
import { assertPlainTexts, attempt, type FuzzTarget, sharesPiece, target } from "./fuzz_target.ts";

const NOW = Date.UTC(2030, 0, 1);
const IDENTITY = {
  kind: "oidc",
  issuer: "https://login.example.com",
  clientId: "my-app",
  scope: "openid",
} as const;

const row = variant(entry(), ["scope", "lifetime", "dpop_key", "audience"]) as fc.Arbitrary<
  OidcCredentials
>;
const documentText = json(
  fc.oneof(
    { weight: 4, arbitrary: row.map((one) => ({ version: 1, credentials: { [KEY]: one } })) },
    { weight: 1, arbitrary: value.map((one) => ({ version: 1, credentials: { [KEY]: one } })) },
    { weight: 2, arbitrary: variant({ version: 1, credentials: {} }) },
  ),
);

/** An encrypted row, from a valid one. */
const SEALED = await (async () => {
  const inner = new MemoryCredentialsBackend();
  await new EncryptedCredentialsBackend({ backend: inner, key: keyBytes() }).put(KEY, entry());
  const [name = ""] = await Array.fromAsync(inner.list());
  return { name, row: inner.get(name)! };
})();

function keyBytes(): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, at) => (at * 73 + 41) % 256);
}

/** The id of a key is shown. */
function shownId(id: unknown): unknown {
  return typeof id === "string" ? withoutSecrets(id) : id;
}

const SEALED_PART = SEALED.row.encrypted as Record<string, unknown>;
const sealedRow = fc.oneof(
  variant(SEALED_PART, ["pbkdf2"]).map((encrypted) => ({
    ...SEALED.row,
    encrypted: { ...encrypted, key_id: shownId(encrypted.key_id) },
  })),
  variant(SEALED.row),
  value,
);

/** A server for Deno KV that answers what it likes. */
function fakeKv(answers: readonly unknown[]): Deno.Kv {
  let at = 0;
  const next = (key: Deno.KvKey) => {
    const value = answers[at++ % answers.length];
    return { key, value, versionstamp: value === null ? null : "1" };
  };
  return { get: (key: Deno.KvKey) => Promise.resolve(next(key)) } as unknown as Deno.Kv;
}

const kvValue = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: -1, max: 10 }) as fc.Arbitrary<unknown> },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  { weight: 1, arbitrary: json(row).map((one) => new TextEncoder().encode(one)) },
  { weight: 2, arbitrary: value },
  { weight: 1, arbitrary: row },
);

function vault(answer: () => Response): VaultCredentialsBackend {
  return new VaultCredentialsBackend({
    address: "https://vault.example.com:8200",
    path: "users/anna",
    timeoutMs: 20,
    auth: { method: "token", token: SECRETS.extra },
    fetch: () => Promise.resolve(answer()),
  });
}

const vaultBody = json(fc.oneof(
  variant({
    data: { data: { key: KEY, entry: JSON.stringify(entry()) }, metadata: { version: 1 } },
    errors: [],
  }),
  variant({
    data: { type: "kv", path: "secret/", options: { version: "2" }, ttl: 0, keys: ["a"] },
  }),
  fc.record({ errors: fc.array(texts, { maxLength: 3 }) }),
));

function isObject(found: unknown): boolean {
  return found === undefined || (typeof found === "object" && found !== null);
}

/** A file of three rows, of which some bytes are others, or which ends too early. */
const damagedBytes = fc.tuple(
  fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { maxLength: 4 }),
  fc.option(fc.nat(), { freq: 3 }),
).map(([flips, end]) => {
  const credentials = Object.fromEntries([1, 2, 3].map((n) => [`größe-${n}`, entry({ n })]));
  const bytes = new TextEncoder().encode(JSON.stringify({ version: 1, credentials }, null, 2));
  for (const [place, change] of flips) bytes[place % bytes.length]! ^= change;
  return end === null ? bytes : bytes.slice(0, end % bytes.length);
});

const fileBytes = fc.oneof(
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }) },
  { weight: 4, arbitrary: documentText.map((text) => new TextEncoder().encode(text)) },
  { weight: 4, arbitrary: damagedBytes },
);

/** The value of a call, or `undefined` where it refuses the file. */
function unlessRefused<T>(call: () => T | Promise<T>): Promise<T | undefined> {
  return attempt(async () => {
    try {
      return await call();
    } catch (error) {
      assertMatch((error as CredentialsBackendError).code, /^backend_(corrupt|version)$/);
      throw error;
    }
  });
}

/** Whether a file has all that it had, but for the row that was written. */
function keepsAll(before: Uint8Array, after: Uint8Array): boolean {
  const [was, is] = [before, after].map((bytes) => JSON.parse(new TextDecoder().decode(bytes)));
  const credentials = { ...is.credentials };
  delete credentials[OTHER];
  // `null` is as good as left out.
  const wanted = { ...was, version: was.version ?? 1, credentials: was.credentials ?? {} };
  return equal(wanted, { ...is, credentials });
}

/** What stores hold and answer. */
export const STORE_TARGETS: readonly FuzzTarget[] = [
  target("the credentials file", fileBytes, async (bytes) => {
    const folder = Deno.makeTempDirSync({ prefix: "validmind-auth-" });
    try {
      const path = `${folder}/credentials.json`;
      Deno.writeFileSync(path, bytes, { mode: 0o600 });
      Deno.utimeSync(path, 0, 0); // long ago: nobody is still writing
      const backend = new FileCredentialsBackend({ path });
      assert(isObject(await unlessRefused(() => backend.get(KEY))));
      const listed = await unlessRefused(() => Array.fromAsync(backend.list()));
      const written = await unlessRefused(() => backend.put(OTHER, entry()).then(() => true));
      const after = Deno.readFileSync(path);
      if (listed === undefined || written === undefined) assertEquals(after, bytes);
      else assert(keepsAll(bytes, after), "a write lost something");
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  }),
  target("a stored entry", row, (input) => {
    const report = describeEntry(input, IDENTITY);
    assertPlainTexts(report);
    const bearer = bearerOf(input, "id_token") ?? bearerOf(input, "access_token");
    assert(bearer === undefined || /^[\x21-\x7e]+$/.test(bearer.token), "an odd bearer");
    assert(bearer === undefined || Number.isFinite(freshUntil(bearer)) || bearer.expiresAt > 0);
    coversScope(input, "openid offline_access");
    readClaims(input.id_token);
    toEntry(
      { accessToken: "a", time: { sentAt: NOW, sent: NOW } },
      IDENTITY,
      "access_token",
      NOW,
      input,
    );
  }),
  target("an encrypted row", sealedRow, async (input) => {
    const inner = new MemoryCredentialsBackend();
    inner.get = () => input as OidcCredentials;
    const backend = new EncryptedCredentialsBackend({ backend: inner, key: keyBytes() });
    const found = await attempt(() => backend.get(KEY));
    assert(found === undefined || JSON.stringify(found) === JSON.stringify(entry()), "forged");
  }),
  target("rows of a fallback", fc.tuple(row, row), async ([first, second]) => {
    const stores = [first, second].map((one) => {
      const store = new MemoryCredentialsBackend();
      store.get = () => structuredClone(one);
      return store;
    });
    const backend = new FallbackCredentialsBackend({ backends: stores });
    assert(isObject(await attempt(() => backend.get(KEY))));
  }),
  target(
    "the rows of a KV server",
    fc.array(kvValue, { minLength: 1, maxLength: 12 }),
    async (rows) => {
      using _ = replace(Deno, "openKv", () => Promise.resolve(fakeKv(rows)));
      assert(isObject(await attempt(() => new KvCredentialsBackend().get(KEY))));
    },
  ),
  target(
    "answers of Vault",
    fc.array(httpAnswer(vaultBody), { minLength: 1, maxLength: 6 }),
    async (answers) => {
      // Of the secrets in an error, Vault's client knows its own token alone.
      const words = answers.map(({ body }) => JSON.stringify(parseObject(body)?.errors ?? ""))
        .join();
      if (sharesPiece(words, [SECRETS.access, SECRETS.refresh, SECRETS.id])) return;
      let at = 0;
      const backend = vault(() => toResponse(answers[at++ % answers.length]!));
      assert(isObject(await attempt(() => backend.get(KEY))));
      await attempt(() => Array.fromAsync(backend.list()));
      await attempt(() => backend.close());
    },
  ),
];
