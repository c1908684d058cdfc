import { testCredentialsBackend } from "../../backends/testing.ts";
import { startVault } from "../support/servers/vault_server.ts";
import { userToken, vaultBackend } from "./vault/vault_world.ts";

/** Before the tests: the permissions of one name its port. */
const vault = await startVault();
const token = await userToken(vault, "anna");

Deno.test.afterAll(async () => await vault[Symbol.asyncDispose]());

for (const mount of ["secret", "kv1"]) {
  testCredentialsBackend(
    `Vault with the documented policy, ${mount}`,
    () => vaultBackend(vault, token, { mount }),
    {
      broken: () => vaultBackend(vault, "not-a-token-of-this-vault", { mount }),
      permissions: { net: [new URL(vault.url).host] },
      patienceMs: 20_000,
    },
  );
}
