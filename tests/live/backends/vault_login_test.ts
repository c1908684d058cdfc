import { assertEquals } from "@std/assert";
import type { VaultAuth, VaultCredentialsBackendOptions } from "../../../backends/vault/options.ts";
import { startVault } from "../../support/servers/vault_server.ts";
import { tempDir } from "../../support/temp_home.ts";
import { entry, KEY } from "../../support/entries.ts";
import { rejectsWith } from "../../support/rejects_with.ts";
import { userToken, vaultBackend } from "../../backends/vault/vault_world.ts";
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
  logins = 0;
  readonly fetch: typeof fetch = (input, init) => {
    const token = new Headers(init?.headers).get("x-vault-token");
    if (token !== null) this.tokens.add(token);
    if (/\/auth\/.+\/login$/.test(String(input))) this.logins++;
    return fetch(input, init);
  };
}

function open(auth: VaultAuth, options: Partial<VaultCredentialsBackendOptions> = {}) {
  return vaultBackend(vault, "", { auth, ...options });
}

interface Role {
  mount: string;
  roleId: string;
  secretId: string;
}

async function appRole(name: string, fields = {}): Promise<Role> {
  await vault.request("POST", "sys/auth/apps", { type: "approle" });
  await vault.request("POST", `auth/apps/role/${name}`, { ...POLICY, ...fields });
  const { body: id } = await vault.request("GET", `auth/apps/role/${name}/role-id`);
  const { body: secret } = await vault.request("POST", `auth/apps/role/${name}/secret-id`, {});
  return { mount: "apps", roleId: id.data.role_id, secretId: secret.data.secret_id };
}

async function revokeAll(wire: Wire): Promise<void> {
  for (const token of wire.tokens) await vault.request("POST", "auth/token/revoke", { token });
}

live.test("Vault AppRole: a secret id in a file is read at each login", async () => {
  await using folder = await tempDir();
  const secretIdFile = `${folder.path}/secret-id`;
  const { secretId, ...role } = await appRole("filed");
  const wire = new Wire();
  const backend = open({ method: "approle", ...role, secretIdFile }, { fetch: wire.fetch });
  await rejectsWith("backend_auth_failed", () => backend.get(KEY), secretIdFile, "is not there");
  await Deno.writeTextFile(secretIdFile, `${secretId}\n`, OWN);
  assertEquals(await backend.get(KEY), entry());
  await vault.request("POST", "auth/apps/role/filed/secret-id/destroy", { secret_id: secretId });
  const { body } = await vault.request("POST", "auth/apps/role/filed/secret-id", {});
  await Deno.writeTextFile(secretIdFile, body.data.secret_id, OWN);
  await revokeAll(wire);
  assertEquals(await backend.get(KEY), entry());
  await backend.close();
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
