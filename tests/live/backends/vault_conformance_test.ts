import { testCredentialsBackend } from "../../../backends/testing.ts";
import { startVault } from "../../support/servers/vault_server.ts";
import { userToken, vaultBackend } from "../../backends/vault/vault_world.ts";
import { liveTests } from "../../support/servers/live_tests.ts";

const live = await liveTests("vault");

/** Before the tests: the permissions of one name its port. */
const vault = await live.shared(() => startVault());
const token = await live.shared(() => userToken(vault, "anna"));

live.afterAll(async () => await vault[Symbol.asyncDispose]());

testCredentialsBackend(
  "Vault with the documented policy",
  () => vaultBackend(vault, token),
  {
    broken: () => vaultBackend(vault, "not-a-token-of-this-vault"),
    permissions: live.ignore ? "none" : { net: [new URL(vault.url).host] },
    ignore: live.ignore,
    patienceMs: 20_000,
  },
);
