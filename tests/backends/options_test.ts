/** Options that are unknown or wrong, of every store: refused before any work, and not shown. */
import { EncryptedCredentialsBackend, type EncryptionKey } from "../../backends/encrypted.ts";
import { FallbackCredentialsBackend } from "../../backends/fallback.ts";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { HelperCredentialsBackend } from "../../backends/helper.ts";
import { KeychainCredentialsBackend } from "../../backends/keychain.ts";
import { KvCredentialsBackend } from "../../backends/kv.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import type { OidcCredentialsBackend } from "../../backends/oidc_credentials_backend.ts";
import { VaultCredentialsBackend } from "../../backends/vault.ts";
import { assertNoSecret } from "../support/assert_no_secret.ts";
import { rejectsWith } from "../support/rejects_with.ts";
import { testWith } from "../support/test_with.ts";
import { testKey } from "./encrypted/encryption_keys.ts";

const SECRET = "s.9Kx2mQ7vLw4Zr8Tb";
const TEXT_KEY = "abcdefghijklmnopqrstuvwxyz012345";
const memory = new MemoryCredentialsBackend();
const [key, second] = [await testKey(1), await testKey(2)];
const home = Deno.build.os === "windows" ? "${USERPROFILE}/" : "${HOME}/";

type Row = [options: unknown, ...words: string[]];

/** Encrypted over memory by this key. */
const by = (key: unknown, ...words: string[]): Row => [{ backend: memory, key }, ...words];
const vault = (options: object, ...words: string[]): Row => [{ path: "x", ...options }, ...words];
const login = (auth: unknown, ...words: string[]): Row => vault({ auth }, ...words);
const PATHS = ["", "/users", "users/", "users//x", "users/ ", "..", "users/../admin", "./users"];
PATHS.push("users/an\nna", "users/\u0000", "users/$USER", "users/${USER");

const WRONG: [Store: new (options: never) => OidcCredentialsBackend, rows: Row[]][] = [
  [MemoryCredentialsBackend, [
    [{ path: "/x" }, `"path"`, "It takes none."],
    ["path", "not an object"],
  ]],
  [FileCredentialsBackend, [
    [{ paht: "/x" }, `"paht"`],
    [{ path: "" }, `"path"`],
    [{ path: "~/credentials.json" }, home],
    [{ path: "/srv/$USER.json" }, "$NAME"],
    [{ path: "/x", lockTimeoutMs: -1 }, "lockTimeoutMs"],
  ]],
  [KvCredentialsBackend, [
    [{ url: "/x" }, `"url"`, "path, lockTimeoutMs"],
    [{ path: "file:///x" }, `"path"`],
    [{ path: "https://kv.example.com" }, "a URL", "Vault", "a helper", "your own"],
    [{ path: "http://localhost:4512" }, "a URL"],
    [{ path: `https://${SECRET}@kv.example.com?token=${SECRET}` }, "a URL"],
    // Deno would take these for the names of local files.
    [{ path: "HTTP://kv.example.com" }, "a URL"],
    [{ path: "https:kv.example.com" }, "a URL"],
    [{ path: " https://kv.example.com" }, "a URL"],
    [{ path: "a2://b" }, "a URL"],
    [{ lockTimeoutMs: "5" }, `"lockTimeoutMs"`],
  ]],
  [KeychainCredentialsBackend, [
    [{ serivce: "x" }, '"serivce"'],
    [{ service: " " }, '"service"'],
    [{ timeoutMs: "1" }, '"timeoutMs"'],
    [{ lockTimeoutMs: -1 }, '"lockTimeoutMs"'],
    [{ lockFolder: "~/locks" }, '"lockFolder"', "plain path"],
  ]],
  [HelperCredentialsBackend, [
    [{}, '"program"'],
    [{ program: "./helper" }, "absolute path"],
    [{ program: "bin/helper" }, "absolute path"],
    [{ program: "x", timeoutMs: 0 }, '"timeoutMs"'],
    [{ program: "x", env: 7 }, '"env"'],
    [{ program: "x", env: { A: 1 } }, '"env"'],
  ]],
  [FallbackCredentialsBackend, [
    [{}, '"backends" is empty'],
    [{ backends: [] }, '"backends" is empty'],
    [{ backends: memory }, '"backends"'],
    [{ backends: [memory], then: 1 }, '"then"'],
  ]],
  [EncryptedCredentialsBackend, [
    [{ backend: memory, key, password: "x" }, '"password"'],
    by(undefined, '"key" is not a key'),
    by("x".repeat(32), '"key" is not a key'),
    by({ id: "x" }, '"key" is not a key'),
    by(new Uint8Array(16), "32 random bytes"),
    by(new Uint8Array(32), "32 random bytes"),
    by(new TextEncoder().encode(TEXT_KEY), "a text as a passphrase"),
    by({ env: "" }, "does not name a variable"),
    by({ env: "A,B" }, "does not name a variable"),
    by({ passphrase: null }, "does not name a variable"),
    by({ passphrase: "too short" }, "12 characters"),
    by({ backend: memory }, "in the store that it protects"),
    [{ backend: memory, key, olderKeys: key }, '"olderKeys" is not an array'],
    [{ backend: memory, key, olderKeys: [second, null] }, "olderKeys[1]"],
    [{ backend: memory, key, plain: true }, '"plain"'],
  ]],
  [VaultCredentialsBackend, [
    [{}, `"path"`],
    ...[undefined, null, 5, ...PATHS].map((path) => vault({ path }, `"path"`)),
    vault({ token: SECRET }, `"token"`),
    vault({ mount: "secret/" }, `"mount"`),
    vault({ address: "vault.example.com" }, `"address"`),
    vault({ address: "ftp://vault.example.com" }, `"address"`),
    vault({ address: 5 }, `"address"`),
    vault({ address: `https://user:${SECRET}@vault.example.com` }, "without a user name"),
    vault({ address: `https://vault.example.com/?token=${SECRET}` }, "a query"),
    vault({ address: "http://vault.default.svc:8200" }, "clear text"),
    vault({ namespace: 5 }, `"namespace"`),
    vault({ caCert: "~/ca.pem" }, `"caCert"`),
    vault({ timeoutMs: "5" }, `"timeoutMs"`),
    vault({ lockTimeoutMs: -1 }, `"lockTimeoutMs"`),
    vault({ fetch: "fetch" }, `"fetch"`),
    login(null, `"auth"`),
    login({ method: "ldap" }, "token, approle, jwt, kubernetes"),
    login({ method: "toString" }, `"method"`),
    login({ method: "token", token: "" }, `"token"`),
    login({ method: "token", tokenFile: false }, `"tokenFile"`),
    login({ method: "token", secretId: SECRET }, `"secretId"`),
    login({ method: "approle", roleId: "r", secretId: 5 }, `"secretId"`),
    login({ method: "kubernetes", role: "r", mount: "../x" }, `"auth.mount"`),
  ]],
];

const test = testWith({ permissions: { env: ["HOME", "USERPROFILE"] } }); // for the place of locks

for (const [Store, rows] of WRONG) {
  test(`${Store.name} refuses options that are wrong, without showing them`, async () => {
    for (const [options, ...words] of [...rows, [null, "not an object"], [[], "not an object"]]) {
      const make = () => new Store(options as never);
      const error = await rejectsWith("invalid_options", make, ...words as string[]);
      assertNoSecret(error, [SECRET, TEXT_KEY, "too short"]);
    }
  });
}

Deno.test("what is no backend is refused in the options of another one, by its place", async () => {
  const encrypted = (backend: unknown, key: unknown) => () =>
    new EncryptedCredentialsBackend({
      backend: backend as OidcCredentialsBackend,
      key: key as EncryptionKey,
    });
  await rejectsWith("invalid_backend", encrypted({}, key), '"backend"');
  await rejectsWith("invalid_backend", encrypted(memory, { backend: "file" }), "key");
  const backends = [memory, {} as OidcCredentialsBackend];
  const fallback = () => new FallbackCredentialsBackend({ backends });
  await rejectsWith("invalid_backend", fallback, "backends[1]");
});
