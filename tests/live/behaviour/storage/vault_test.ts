// Sessions whose tokens are in a real Vault.
import { assertEquals } from "@std/assert";
import { clearOidcCredentials, createSession, loadBackendFromEnv } from "@validmind/auth";
import { userToken, vaultBackend } from "../../../backends/vault/vault_world.ts";
import { withEnv } from "../../../support/own_env.ts";
import { startVault } from "../../../support/servers/vault_server.ts";
import { oidcProviderWorld, scriptedProviderWorld } from "../../../support/provider_world.ts";
import { liveTests } from "../../../support/servers/live_tests.ts";

const live = await liveTests("vault");

const HOUR = 3600_000;
const vault = await live.shared(() => startVault());
const token = await live.shared(() => userToken(vault, "anna"));
live.afterAll(async () => await vault[Symbol.asyncDispose]());

live.test("Vault: a sign-in, a refresh and a sign-out with a real provider", async () => {
  await using world = await oidcProviderWorld();
  const credentialsBackend = vaultBackend(vault, token);
  const options = { ...world.options, credentialsBackend };
  await using session = await createSession(options);
  const first = await session.accessToken();
  world.clock.advance(2 * HOUR);
  const second = await session.accessToken();
  assertEquals([first === second, world.codes.length], [false, 1]);
  await using again = await createSession({ ...options, interactive: false });
  assertEquals(await again.accessToken(), second);
  const { issuer, clientId } = options;
  await clearOidcCredentials({ issuer: issuer!, clientId: clientId!, credentialsBackend });
  assertEquals(await Array.fromAsync(credentialsBackend.list()), []);
  await credentialsBackend.close();
});

live.test("Vault: the environment names it, with a folder for each person of a hub", async () => {
  const settings = {
    VM_OIDC_CREDENTIALS_BACKEND: "vault",
    VM_OIDC_CREDENTIALS_BACKEND_KWARGS: '{"path": "users/${JUPYTERHUB_USER}"}',
    JUPYTERHUB_USER: "anna",
    VAULT_ADDR: vault.url,
    VAULT_TOKEN: token,
  };
  await using world = await scriptedProviderWorld();
  await withEnv(settings, async () => {
    const { credentialsBackend: _, ...options } = world.options;
    const session = await createSession(options);
    const backend = await loadBackendFromEnv();
    assertEquals((await session.status()).backend?.location, backend?.location);
    assertEquals(backend?.location, `Vault at ${vault.url}, secret/users/anna`);
    const stored = await backend?.get(world.key);
    assertEquals(stored?.access_token, await session.accessToken());
    await session.clear();
    await backend?.close?.();
  });
});
