import { assertEquals } from "@std/assert";
import { VaultCredentialsBackend } from "../../../backends/vault.ts";
import { checkVaultOptions, parseVaultAddress } from "../../../backends/vault/options.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

const permissions = "none";
const SECRET = "s.9Kx2mQ7vLw4Zr8Tb";

function make(options: unknown) {
  return () => new VaultCredentialsBackend(options as { path: string });
}

const WRONG: [options: unknown, part: string][] = [
  [undefined, "not an object"],
  [[], "not an object"],
  [{}, `"path"`],
  [{ path: "" }, `"path"`],
  [{ path: "users/" }, "slash"],
  [{ path: "users/../x" }, `".."`],
  [{ path: "x", url: "y" }, `"url"`],
  [{ path: "x", token: SECRET }, `"token"`],
  [{ path: "x", mount: "secret/" }, `"mount"`],
  [{ path: "x", kvVersion: 2 }, `"kvVersion"`],
  [{ path: "x", address: "vault.example.com" }, `"address"`],
  [{ path: "x", address: "ftp://vault.example.com" }, `"address"`],
  [{ path: "x", address: 5 }, `"address"`],
  [{ path: "x", address: `https://user:${SECRET}@vault.example.com` }, "without a user name"],
  [{ path: "x", address: `https://vault.example.com/?token=${SECRET}` }, "a query"],
  [{ path: "x", address: "http://vault.example.com:8200" }, "clear text"],
  [{ path: "x", address: "http://vault.default.svc:8200" }, "clear text"],
  [{ path: "x", namespace: 5 }, `"namespace"`],
  [{ path: "x", caCert: "" }, `"caCert"`],
  [{ path: "x", caCert: "~/ca.pem" }, `"caCert"`],
  [{ path: "x", timeoutMs: "5" }, `"timeoutMs"`],
  [{ path: "x", lockTimeoutMs: -1 }, `"lockTimeoutMs"`],
  [{ path: "x", fetch: "fetch" }, `"fetch"`],
  [{ path: "x", auth: null }, `"auth"`],
  [{ path: "x", auth: { method: "ldap" } }, "token, approle, jwt, kubernetes"],
  [{ path: "x", auth: { method: "toString" } }, `"method"`],
  [{ path: "x", auth: { method: "token", token: "" } }, `"token"`],
  [{ path: "x", auth: { method: "token", token: true } }, `"token"`],
  [{ path: "x", auth: { method: "token", tokenFile: false } }, `"tokenFile"`],
  [{ path: "x", auth: { method: "token", secretId: SECRET } }, `"secretId"`],
  [{ path: "x", auth: { method: "approle", roleId: "r", secretId: 5 } }, `"secretId"`],
  [{ path: "x", auth: { method: "kubernetes", role: "r", mount: "../x" } }, `"auth.mount"`],
];

for (const [index, [options, part]] of WRONG.entries()) {
  Deno.test(`Vault options that are wrong are refused before any work: ${index + 1}, ${part}`, {
    permissions,
  }, async () => {
    assertNoSecret(await rejectsWith("invalid_options", make(options), part), [SECRET]);
  });
}

Deno.test(
  "Vault options that are right need no permission and show no secret",
  { permissions },
  () => {
    const right = [
      { path: "users/anna" },
      { path: "x", address: "https://vault.example.com:8200/", mount: "team/kv", namespace: "a/b" },
      { path: "x", address: "http://127.0.0.1:8200" },
      { path: "x", auth: { method: "token", token: SECRET }, timeoutMs: 0, lockTimeoutMs: 0 },
      { path: "x", auth: { method: "token", tokenFile: "/x/.vault-token" } },
      { path: "x", auth: { method: "approle", roleId: "r", secretId: SECRET } },
      { path: "x", auth: { method: "kubernetes", role: "r" }, fetch },
    ];
    for (const options of right) assertNoSecret(make(options)(), [SECRET]);
  },
);

Deno.test("a later change of the caller's options changes nothing", { permissions }, () => {
  const options = { path: "users/anna", address: "https://vault.example.com" };
  const backend = new VaultCredentialsBackend(options);
  options.path = "users/berta";
  assertEquals(backend.location, "Vault at https://vault.example.com, secret/users/anna");
});

Deno.test("parseVaultAddress keeps the path of a proxy, without a slash at its end", {
  permissions,
}, () => {
  const hrefs = ["https://a.example.com", "https://a.example.com/vault/", "http://[::1]:8200//"]
    .map((text) => parseVaultAddress("test", "it", text).href);
  assertEquals(hrefs, [
    "https://a.example.com/",
    "https://a.example.com/vault",
    "http://[::1]:8200/",
  ]);
});

Deno.test(
  "a path is refused that would lead elsewhere, or to everybody's folder",
  { permissions },
  async () => {
    for (const path of ["a", "users/anna", "users/anna@example.com", "a b", "größe", "a.b/..c"]) {
      checkVaultOptions("test", { path });
    }
    const wrong = [
      undefined,
      null,
      5,
      "",
      "/users",
      "users/",
      "users//x",
      "users/ ",
      "..",
      "users/../admin",
      "./users",
      "users/an\nna",
      "users/\u0000",
    ];
    for (const path of wrong) {
      const options = { path } as { path: string };
      await rejectsWith("invalid_options", () => checkVaultOptions("test", options), '"path"');
    }
  },
);
