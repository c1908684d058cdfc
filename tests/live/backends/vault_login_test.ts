import { assert, assertEquals } from "@std/assert";
import type { VaultAuth, VaultCredentialsBackendOptions } from "../../../backends/vault/options.ts";
import { json, startHttpServer } from "../../support/http_server.ts";
import { makeSigningKey, signJwt } from "../../support/jwt.ts";
import { startVault } from "../../support/servers/vault_server.ts";
import { tempDir } from "../../support/temp_home.ts";
import { entry, KEY } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { recipePolicy, userToken, vaultBackend } from "../../backends/vault/vault_world.ts";
import { liveTests } from "../../support/servers/live_tests.ts";

const live = await liveTests("vault");

const vault = await live.shared(() => startVault());
const rootTokenOfAnna = await live.shared(() => userToken(vault, "anna"));
live.afterAll(async () => await vault[Symbol.asyncDispose]());
await live.shared(async () => {
  const seed = vaultBackend(vault, rootTokenOfAnna);
  await seed.put(KEY, entry());
  await seed.close();
});

/** A file that others cannot read. */
const OWN = { mode: 0o600 };
const POLICY = { token_policies: ["validmind-anna"] };

/** Counts the logins and renewals, and keeps the tokens that were sent. */
class Wire {
  readonly tokens = new Set<string>();
  readonly headers: Headers[] = [];
  logins = 0;
  renewals = 0;
  requests = 0;
  readonly fetch: typeof fetch = (input, init) => {
    const headers = new Headers(init?.headers);
    this.headers.push(headers);
    this.requests++;
    const token = headers.get("x-vault-token");
    if (token !== null) this.tokens.add(token);
    if (/\/auth\/.+\/login$/.test(String(input))) this.logins++;
    if (String(input).endsWith("/renew-self")) this.renewals++;
    return fetch(input, init);
  };
}

function open(auth: VaultAuth, options: Partial<VaultCredentialsBackendOptions> = {}) {
  return vaultBackend(vault, "", { auth, ...options });
}

async function enable(method: string, type = method): Promise<void> {
  await vault.request("POST", `sys/auth/${method}`, { type });
}

interface Role {
  roleId: string;
  secretId: string;
}

async function appRole(name: string, fields = {}): Promise<Role> {
  await enable("approle");
  await vault.request("POST", `auth/approle/role/${name}`, { ...POLICY, ...fields });
  const { body: id } = await vault.request("GET", `auth/approle/role/${name}/role-id`);
  const { body: secret } = await vault.request("POST", `auth/approle/role/${name}/secret-id`, {});
  return { roleId: id.data.role_id, secretId: secret.data.secret_id };
}

async function revokeAll(wire: Wire): Promise<void> {
  for (const token of wire.tokens) await vault.request("POST", "auth/token/revoke", { token });
}

live.test("Vault AppRole: a secret id in a file is read at each login", async () => {
  await using folder = await tempDir();
  const secretIdFile = `${folder.path}/secret-id`;
  const { roleId, secretId } = await appRole("filed");
  const wire = new Wire();
  const backend = open({ method: "approle", roleId, secretIdFile }, { fetch: wire.fetch });
  await rejectsWith("backend_auth_failed", () => backend.get(KEY), secretIdFile, "is not there");
  await Deno.writeTextFile(secretIdFile, `${secretId}\n`, OWN);
  assertEquals(await backend.get(KEY), entry());
  await vault.request("POST", "auth/approle/role/filed/secret-id/destroy", { secret_id: secretId });
  const { body } = await vault.request("POST", "auth/approle/role/filed/secret-id", {});
  await Deno.writeTextFile(secretIdFile, body.data.secret_id, OWN);
  await revokeAll(wire);
  assertEquals(await backend.get(KEY), entry());
  await backend.close();
});

live.test("Vault Kubernetes: logs in as a service account, which the cluster has to know", async () => {
  // The cluster's API is a stand-in; the method that asks it is Vault's own.
  let isKnown = true;
  const account = "notebook-anna";
  const user = { username: `system:serviceaccount:hub:${account}`, uid: "uid-of-anna" };
  await using api = await startHttpServer(async (request) => {
    const review = await request.json();
    return json({ ...review, status: { authenticated: isKnown, user } }, 201);
  });
  await using folder = await tempDir();
  const jwtFile = `${folder.path}/token`;
  const key = await makeSigningKey();
  const jwt = await signJwt({
    iss: "kubernetes/serviceaccount",
    sub: user.username,
    iat: nowSeconds() - 60,
    nbf: nowSeconds() - 60,
    exp: nowSeconds() + 600,
    "kubernetes.io": { namespace: "hub", serviceaccount: { name: account, uid: user.uid } },
  }, key);
  await Deno.writeTextFile(jwtFile, jwt, OWN);
  await enable("cluster-a", "kubernetes");
  await vault.request("POST", "auth/cluster-a/config", {
    kubernetes_host: api.origin,
    kubernetes_ca_cert: await publicPem(key.publicJwk),
    pem_keys: [await publicPem(key.publicJwk)],
    disable_local_ca_jwt: true,
  });
  await vault.request("POST", "auth/cluster-a/role/hub", {
    token_policies: ["by-service-account"],
    bound_service_account_names: ["notebook-*"],
    bound_service_account_namespaces: ["hub"],
  });
  const { body: mounts } = await vault.request("GET", "sys/auth");
  const policy = await recipePolicy(mounts.data["cluster-a/"].accessor);
  await vault.request("PUT", "sys/policies/acl/by-service-account", { policy });
  const auth: VaultAuth = { method: "kubernetes", role: "hub", jwtFile, mount: "cluster-a" };
  const backend = open(auth, { path: "users/notebook-anna" });
  await backend.withLock(KEY, () => backend.put(KEY, entry()));
  assertEquals(await backend.get(KEY), entry());
  await backend.close();
  const other = open(auth, { path: "users/notebook-berta" });
  await rejectsWith("backend_denied", () => other.get(KEY));
  await other.close();
  isKnown = false;
  const error = await rejectsWith(
    "backend_auth_failed",
    () => backend.get(KEY),
    "kubernetes login",
  );
  assert(!error.message.includes(jwt.slice(0, 12)));
  await backend.close();
});

live.test("Vault token: one that is not known, or none, is backend_auth_failed", async () => {
  const wire = new Wire();
  const backend = open({ method: "token", token: "hvs.notATokenOfThisVault" }, {
    fetch: wire.fetch,
  });
  const error = await rejectsWith("backend_auth_failed", () => backend.get(KEY), "vault login");
  assert(!error.message.includes("notATokenOfThisVault"));
  assert(wire.requests < 8);
  await backend.close();
  const odd = open({ method: "token", token: "two words" });
  await rejectsWith("backend_auth_failed", () => odd.get(KEY), "a space");
  await odd.close();
});

live.test("Vault: a token without the policy default works, and what it may not do is an error", async () => {
  const token = await userToken(vault, "anna", { no_default_policy: true });
  const backend = open({ method: "token", token });
  assertEquals(await backend.get(KEY), entry());
  await backend.close();
  const elsewhere = open({ method: "token", token }, { path: "users/berta" });
  await rejectsWith("backend_auth_failed", () => elsewhere.get(KEY), "its policies");
  await elsewhere.close();
  const role = await appRole("bare", { token_no_default_policy: true });
  const wire = new Wire();
  const other = open({ method: "approle", ...role }, { path: "users/berta", fetch: wire.fetch });
  await rejectsWith("backend_denied", () => other.get(KEY), "policies");
  assertEquals(wire.logins, 2); // it cannot be told apart, and is tried once
  await other.close();
});

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

/** A public key as Vault takes it. */
async function publicPem(jwk: JsonWebKey): Promise<string> {
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const { kty, n, e } = jwk as { kty: string; n: string; e: string };
  const key = await crypto.subtle.importKey("jwk", { kty, n, e }, algorithm, true, ["verify"]);
  const bytes = new Uint8Array(await crypto.subtle.exportKey("spki", key));
  return `-----BEGIN PUBLIC KEY-----\n${bytes.toBase64()}\n-----END PUBLIC KEY-----\n`;
}
