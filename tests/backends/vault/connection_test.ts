import { assertEquals } from "@std/assert";
import { vaultConnection, vaultPermissions } from "../../../backends/vault/options.ts";
import { VaultCredentialsBackend } from "../../../backends/vault.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { withEnv } from "../../support/own_env.ts";

const path = "users/anna";
const address = "https://vault.example.com:8200";

const names = (options = {}) =>
  vaultPermissions({ path, ...options }).map((need) => {
    const { name, ...rest } = need as { name: string } & Record<string, string>;
    return `${name} ${rest.host ?? rest.variable ?? rest.path}`;
  });

Deno.test("an address that is given takes nothing of where from the environment", async () => {
  const variables = {
    VAULT_ADDR: "https://other.example.com",
    VAULT_NAMESPACE: "x",
    VAULT_CACERT: "/x",
  };
  await withEnv(variables, () => {
    const { address: url, namespace, caCert } = vaultConnection({ path, address });
    assertEquals([url.host, namespace, caCert], ["vault.example.com:8200", undefined, undefined]);
    const options = { path, namespace: "own", caCert: "/own.pem" };
    const mixed = vaultConnection(options);
    assertEquals([mixed.address.host, mixed.namespace, mixed.caCert], [
      "other.example.com",
      "own",
      "/own.pem",
    ]);
  });
});

Deno.test("an address that is not known, or wrong in a variable, is an error that names it", async () => {
  await withEnv({}, async () => {
    await rejectsWith("invalid_options", () => vaultConnection({ path }), "VAULT_ADDR");
  });
  await withEnv({ VAULT_ADDR: "http://vault.example.com" }, async () => {
    await rejectsWith(
      "invalid_options",
      () => vaultConnection({ path }),
      "VAULT_ADDR",
      "clear text",
    );
  });
  await withEnv({ VAULT_ADDR: "nonsense" }, async () => {
    await rejectsWith("invalid_options", () => vaultConnection({ path }), "VAULT_ADDR");
    const backend = new VaultCredentialsBackend({ path });
    await rejectsWith("invalid_options", () => backend.get("key"), "VAULT_ADDR");
    assertEquals(backend.location, "Vault at VAULT_ADDR, secret/users/anna");
    assertEquals(backend.requiredPermissions().some(({ name }) => name === "net"), false);
  });
});

Deno.test("a token that is not there is backend_auth_failed, without a request", async () => {
  const refuse = () => Promise.reject(new Error("no request was wanted"));
  await withEnv({ VAULT_ADDR: address }, async () => {
    const backend = new VaultCredentialsBackend({ path, fetch: refuse });
    await rejectsWith("backend_auth_failed", () => backend.get("key"), "Set VAULT_TOKEN, or");
  });
  await withEnv({}, async () => {
    const backend = new VaultCredentialsBackend({ path, address, fetch: refuse });
    await rejectsWith("backend_auth_failed", () => backend.get("key"), "Set VAULT_TOKEN, or");
  });
});

Deno.test("permissions follow from the options, and name nothing that is not needed", async () => {
  await withEnv({ VAULT_ADDR: "https://env.example.com" }, () => {
    assertEquals(names({ address, auth: { method: "token", token: "t" } }), [
      "net vault.example.com:8200",
    ]);
    assertEquals(names({ address, auth: { method: "kubernetes", role: "r" } }), [
      "net vault.example.com:8200",
      "read /var/run/secrets/kubernetes.io/serviceaccount/token",
    ]);
    const auth = { method: "approle", roleId: "r", secretIdFile: "/run/secret-id" };
    assertEquals(names({ address, caCert: "/ca.pem", auth }), [
      "net vault.example.com:8200",
      "read /ca.pem",
      "read /run/secret-id",
    ]);
    assertEquals(names({ namespace: "a", caCert: "/ca.pem" }), [
      "net env.example.com:443",
      "env VAULT_ADDR",
      "env VAULT_TOKEN",
      "read /ca.pem",
    ]);
  });
});

Deno.test("permissions without the right to look at the variables name all that may be read", {
  permissions: "none",
}, () => {
  const variables = ["ADDR", "NAMESPACE", "CACERT"];
  assertEquals(names(), [
    ...variables.map((name) => `env VAULT_${name}`),
    "env VAULT_TOKEN",
  ]);
});
