import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { netHost } from "../../../backends/common/host.ts";
import type { BackendPermission } from "../../../backends/oidc_credentials_backend.ts";
import { VaultCredentialsBackend } from "../../../backends/vault.ts";
import type { VaultCredentialsBackendOptions } from "../../../backends/vault/options.ts";
import { userToken } from "../../backends/vault/vault_world.ts";
import { backendUrl, runDeno } from "../../support/deno_process.ts";
import { withEnv } from "../../support/own_env.ts";
import { permissionFlagsOf } from "../../support/permission_flags.ts";
import { liveTests } from "../../support/servers/live_tests.ts";
import { startVault } from "../../support/servers/vault_server.ts";
import { tempDir } from "../../support/temp_home.ts";

// What the backend declares is enough, all of it is needed, and nothing beyond is touched.
const live = await liveTests("vault");

const vault = await live.shared(() => startVault({ tls: true }));
const token = await live.shared(() => userToken(vault, "anna"));
const folder = await live.shared(() => tempDir());
live.afterAll(async () => {
  await vault[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});
await live.shared(() => Deno.writeTextFile(`${folder.path}/.vault-token`, token, { mode: 0o600 }));
const [address, caCert] = live.ignore ? ["", ""] : [vault.url, vault.caFile!];
const path = "users/anna";

const ROUND = `
  import { VaultCredentialsBackend } from ${JSON.stringify(backendUrl("vault.ts"))};
  const backend = new VaultCredentialsBackend(JSON.parse(Deno.args[0]));
  try {
    const entry = { issuer: "i", client_id: "c", access_token: "a" };
    await backend.withLock("key", () => backend.put("key", entry));
    await backend.get("key");
    for await (const key of backend.list()) await backend.delete(key);
    await backend.deleteAll();
    await backend.close();
    console.log(backend.location);
  } catch (error) {
    console.log(error.code, error.message);
  }`;

/** Options, and variables. */
const CASES: Record<string, [VaultCredentialsBackendOptions, Record<string, string>]> = {
  "Vault's variables": [
    { path },
    { VAULT_ADDR: address, VAULT_CACERT: caCert, VAULT_TOKEN: token },
  ],
  "a token file": [
    { address, caCert, path, auth: { method: "token", tokenFile: `${folder?.path}/.vault-token` } },
    {},
  ],
};

/** Whether an access of the audit log is one that the need allows. */
function allows(need: BackendPermission, permission: string, value: string): boolean {
  if (need.name === "env") return permission === "env" && need.variable === value;
  const host = value.includes("://") ? netHost(new URL(value)) : value;
  if (need.name === "net") return permission === "net" && need.host === host;
  // Deno 2.9.6 logs a write for every file that is opened; without the grant it is not missed.
  return need.name === "read" && /^(read|write)$/.test(permission) && need.path === value;
}

for (const [name, [options, env]] of Object.entries(CASES)) {
  live.test(`Vault's permissions: ${name}: what is declared is enough, and no less is`, async () => {
    const declared = () => new VaultCredentialsBackend(options).requiredPermissions();
    const needs = await withEnv(env, declared);
    const run = async (needs: BackendPermission[], more = {}) => {
      const child = { code: ROUND, args: [JSON.stringify(options)], env: { ...env, ...more } };
      const { stdout, stderr } = await runDeno({ ...child, flags: permissionFlagsOf(needs) });
      assertEquals(stderr, "");
      return stdout;
    };
    const log = `${folder.path}/${crypto.randomUUID()}.jsonl`;
    const stdout = await run(needs, { DENO_AUDIT_PERMISSIONS: log });
    assertEquals(stdout, `Vault at ${address}, secret/users/anna\n`);
    const accesses = (await Deno.readTextFile(log)).trim().split("\n")
      .map((line) => JSON.parse(line) as { permission: string; value: string })
      .filter(({ permission }) => permission !== "import");
    assert(accesses.length > 0);
    const beyond = accesses.filter(({ permission, value }) =>
      !needs.some((need) => allows(need, permission, value))
    );
    assertEquals(beyond, []);
    for (const dropped of needs) {
      const out = await run(needs.filter((need) => need !== dropped));
      assertStringIncludes(out, "permission_required Cannot ");
      assertStringIncludes(out, permissionFlagsOf([dropped])[0]!);
    }
  });
}
