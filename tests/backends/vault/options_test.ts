import { assertEquals } from "@std/assert";
import { VaultCredentialsBackend } from "../../../backends/vault.ts";
import { assertNoSecret } from "../../support/assert_no_secret.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { withEnv } from "../../support/own_env.ts";
import { testWith } from "../../support/test_with.ts";

const test = testWith({ permissions: "none" });
const SECRET = "s.9Kx2mQ7vLw4Zr8Tb";
const path = "users/anna";
const address = "https://vault.example.com:8200";
/** Fails a test in which a request is made. */
const refuse = () => Promise.reject(new Error("no request was wanted"));

function make(options: unknown): VaultCredentialsBackend {
  return new VaultCredentialsBackend(options as { path: string });
}

test("Vault options that are right need no permission and show no secret", () => {
  const right = [
    { address: "https://vault.example.com:8200/", mount: "team/kv", namespace: "a/b" },
    { address: "http://127.0.0.1:8200" },
    { auth: { method: "token", token: SECRET }, timeoutMs: 0, lockTimeoutMs: 0 },
    { auth: { method: "token", tokenFile: "/x/.vault-token" } },
    { auth: { method: "approle", roleId: "r", secretId: SECRET } },
    { auth: { method: "kubernetes", role: "r" }, fetch },
  ];
  for (const options of right) assertNoSecret(make({ path: "x", ...options }), [SECRET]);
  for (const path of ["a", "users/anna@example.com", "a b", "größe", "a.b/..c"]) make({ path });
  const options = { path, address };
  const backend = make(options);
  options.path = "users/berta"; // a later change by the caller
  assertEquals(backend.location, `Vault at ${address}, secret/${path}`);
});

Deno.test("an address that is given takes nothing of where from the environment", async () => {
  const variables = {
    VAULT_ADDR: "https://other.example.com/vault//",
    VAULT_NAMESPACE: "x",
    VAULT_CACERT: "/nowhere/ca.pem",
  };
  await withEnv(variables, async () => {
    const given = make({ path, address: `${address}/vault/v1/` });
    assertEquals(given.location, `Vault at ${address}/vault, secret/${path}`);
    const named = make({ path, mount: "team/kv" });
    const server = "Vault at https://other.example.com/vault";
    assertEquals(named.location, `${server}, namespace x, team/kv/${path}`);
    const own = make({ path, namespace: "own", caCert: "/nowhere/own.pem" });
    assertEquals(own.location, `${server}, namespace own, secret/${path}`);
    for (
      const [backend, file] of [[named, "/nowhere/ca.pem"], [own, "/nowhere/own.pem"]] as const
    ) {
      await rejectsWith("backend_auth_failed", () => backend.get("key"), file, "is not there");
    }
  });
});

Deno.test("an address that is not known, or wrong in a variable, is an error that names it", async () => {
  const cases = [[undefined, "not known"], ["http://vault.example.com", "clear text"]];
  for (const [VAULT_ADDR, words = ""] of [...cases, ["nonsense", "https: URL"]]) {
    await withEnv({ ...(VAULT_ADDR && { VAULT_ADDR }) }, async () => {
      const backend = make({ path, fetch: refuse });
      await rejectsWith("invalid_options", () => backend.get("key"), "VAULT_ADDR", words);
      if (VAULT_ADDR?.startsWith("http")) return;
      assertEquals(backend.location, "Vault at VAULT_ADDR, secret/users/anna");
      assertEquals(backend.requiredPermissions().some(({ name }) => name === "net"), false);
    });
  }
});

Deno.test("a token that is not there is backend_auth_failed, without a request", async () => {
  for (const VAULT_TOKEN of ["", "two words"]) {
    await withEnv({ VAULT_TOKEN }, async () => {
      const backend = make({ path, address, fetch: refuse });
      await rejectsWith("backend_auth_failed", () => backend.get("key"), "Set VAULT_TOKEN, or");
    });
  }
});

const names = (options = {}) =>
  make({ path, ...options }).requiredPermissions().map((need) => {
    const { name, ...rest } = need as { name: string } & Record<string, string>;
    return `${name} ${rest.host ?? rest.variable ?? rest.path}`;
  });

Deno.test("permissions follow from the options, and name nothing that is not needed", async () => {
  const net = "net vault.example.com:8200";
  await withEnv({ VAULT_ADDR: "https://env.example.com" }, () => {
    assertEquals(names({ address, auth: { method: "token", token: "t" } }), [net]);
    assertEquals(names({ address, auth: { method: "token", tokenFile: "/t" } }), [net, "read /t"]);
    const kubernetes = "read /var/run/secrets/kubernetes.io/serviceaccount/token";
    assertEquals(names({ address, auth: { method: "kubernetes", role: "r" } }), [net, kubernetes]);
    const auth = { method: "approle", roleId: "r", secretIdFile: "/run/secret-id" };
    const files = ["read /ca.pem", "read /run/secret-id"];
    assertEquals(names({ address, caCert: "/ca.pem", auth }), [net, ...files]);
    const variables = ["env VAULT_ADDR", "env VAULT_TOKEN"];
    const given = names({ namespace: "a", caCert: "/ca.pem" });
    assertEquals(given, ["net env.example.com:443", ...variables, "read /ca.pem"]);
    // An Agent on this computer: a proxy would get the token.
    const agent = names({
      address: "http://127.0.0.1:8200",
      auth: { method: "token", token: "t" },
    });
    const proxies = ["NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    assertEquals(agent, ["net 127.0.0.1:8200", ...proxies.map((name) => `env ${name}`)]);
  });
});

test("permissions without the right to look at the variables name all that may be read", () => {
  const variables = ["ADDR", "NAMESPACE", "CACERT", "TOKEN"];
  assertEquals(names(), variables.map((name) => `env VAULT_${name}`));
});
