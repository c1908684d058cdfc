// Sessions whose tokens are in a real Vault.
import { assertEquals } from "@std/assert";
import {
  clearOidcCredentials,
  createSession,
  type CredentialsBackendError,
  loadBackendFromEnv,
} from "@validmind/auth";
import { userToken, vaultBackend } from "../../../backends/vault/vault_world.ts";
import { withEnv } from "../../../support/own_env.ts";
import { startVault } from "../../../support/servers/vault_server.ts";
import { oidcProviderWorld, scriptedProviderWorld } from "../../../support/provider_world.ts";
import { rejectsWith } from "../../../support/rejects_with.ts";
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

for (const outage of ["sealed", "revoked", "denied"] as const) {
  live.test(`Vault that is ${outage}: no new sign-in begins, and the grant is there afterwards`, async () => {
    await using world = await scriptedProviderWorld();
    const path = `users/${outage}`;
    const own = await userToken(vault, outage);
    const open = (given = own) => vaultBackend(vault, given, { path, timeoutMs: 1500 });
    const before = open();
    const options = { ...world.options, credentialsBackend: before };
    await createSession(options);
    const stored = await before.get(world.key);
    await before.close();
    const [code, end] = await OUTAGES[outage](own);
    const during = open();
    const start = { ...options, credentialsBackend: during };
    try {
      await rejectsWith(code, () => createSession(start), "Vault");
      await rejectsWith(code, () => createSession(start), "Vault");
      await during.close();
    } finally {
      await end();
    }
    assertEquals(world.codes.length, 1, "a person was asked to sign in");
    const after = open(outage === "revoked" ? await userToken(vault, outage) : own);
    assertEquals(await after.get(world.key), stored);
    const session = await createSession({ ...options, credentialsBackend: after });
    world.clock.advance(2 * HOUR);
    await session.accessToken();
    assertEquals(world.codes.length, 1);
    await after.close();
  });
}

type Outage = (token: string) => Promise<[CredentialsBackendError["code"], () => Promise<unknown>]>;

/** Each begins a fault, and gives the code that it has to have and what ends it. */
const OUTAGES: Record<"sealed" | "revoked" | "denied", Outage> = {
  async sealed() {
    await vault.seal();
    return ["backend_unavailable", () => vault.unseal()];
  },
  async revoked(token) {
    await vault.request("POST", "auth/token/revoke", { token });
    return ["backend_auth_failed", () => Promise.resolve()];
  },
  async denied() {
    const policy = "sys/policies/acl/validmind-denied";
    const { body } = await vault.request("GET", policy);
    await vault.request("PUT", policy, { policy: 'path "secret/x" { capabilities = ["read"] }' });
    return ["backend_denied", () => vault.request("PUT", policy, { policy: body.data.policy })];
  },
};

live.test("Vault that fails under a refresh: the new tokens live on, and are stored when it is back", async () => {
  await using world = await scriptedProviderWorld();
  const credentialsBackend = vaultBackend(vault, token, { path: "users/anna/s", timeoutMs: 1500 });
  const session = await createSession({ ...world.options, credentialsBackend });
  world.clock.advance(2 * HOUR);
  world.provider.script.token.push(async () => {
    await vault.seal();
  });
  let refreshed: string;
  try {
    await rejectsWith("credentials_not_stored", () => session.accessToken());
    refreshed = await session.accessToken();
  } finally {
    await vault.unseal();
  }
  world.clock.advance(11_000);
  assertEquals(await session.accessToken(), refreshed);
  assertEquals((await credentialsBackend.get(world.key))?.access_token, refreshed);
  assertEquals(world.codes.length, 1);
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
