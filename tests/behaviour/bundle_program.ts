// deno-lint-ignore-file no-console -- its output is what the test reads
/**
 * A user's script with all of the module in it. Its first argument names a command, and it prints the
 * result as JSON: the same one as a bundle and as modules.
 */
import {
  ApiError,
  clearOidcCredentials,
  createSession,
  credentialKey,
  CredentialsBackendError,
  FileCredentialsBackend,
  formatPermissionFlags,
  init,
  KvCredentialsBackend,
  loadBackendFromEnv,
  MemoryCredentialsBackend,
  type OidcCredentialsBackend,
  requiredPermissions,
  ValidMindAuthError,
} from "@validmind/auth";
import { EncryptedCredentialsBackend } from "@validmind/auth/backends/encrypted";
import { FallbackCredentialsBackend } from "@validmind/auth/backends/fallback";
import { KeychainCredentialsBackend } from "@validmind/auth/backends/keychain";
import { VaultCredentialsBackend } from "@validmind/auth/backends/vault";
import { runCli } from "@validmind/auth/cli";

const ENTRY = { issuer: "https://login.example.com", client_id: "my-app", access_token: "a" };
const RANDOM = Uint8Array.from({ length: 32 }, (_, i) => i * 37 + 11);
const key = credentialKey(ENTRY.issuer, ENTRY.client_id);

/** The code and the message of a call that fails. */
async function failure(call: () => unknown): Promise<[code: string, message: string]> {
  try {
    await call();
  } catch (error) {
    const isOwn = error instanceof ValidMindAuthError || error instanceof CredentialsBackendError;
    return isOwn ? [error.code, error.message] : ["foreign", String(error)];
  }
  return ["none", ""];
}

/** Everything that a store does, in an order that uses all of its lazy parts. */
async function roundTrip(backend: OidcCredentialsBackend) {
  const within = async () => {
    await backend.put(key, { ...ENTRY, expires_at: "2099-01-01T00:00:00Z" });
    return (await backend.get(key))?.access_token;
  };
  const got = await (backend.withLock?.(key, within) ?? within());
  const keys = backend.list && await Array.fromAsync(backend.list());
  await backend.delete(key);
  const gone = await backend.get(key) === undefined;
  await backend.close?.();
  return { got, keys, gone, name: backend.constructor.name, location: backend.location };
}

const COMMANDS: Record<string, (...args: string[]) => unknown> = {
  async start() {
    const session = await createSession({ interactive: false });
    return [(await session.status()).backend, Deno.inspect(session)];
  },
  async signIn() {
    const session = await createSession({ interactive: true }); // by its own prompt
    const before = await session.accessToken();
    return before !== await session.accessToken({ forceRefresh: true });
  },
  async signOut() {
    const session = await init({ interactive: false, model: "cl123" });
    await session.get("ping");
    return (await clearOidcCredentials({ revoke: true })).revocation;
  },
  async stores(settings) {
    const memory = () => new MemoryCredentialsBackend();
    const results: unknown[] = [];
    for (
      const store of [
        memory(),
        new FileCredentialsBackend({ path: "./one.json" }),
        new KvCredentialsBackend({ path: "./kv.db" }),
        new EncryptedCredentialsBackend({ backend: memory(), key: RANDOM }),
        new FallbackCredentialsBackend({ backends: [memory(), memory()] }),
      ]
    ) results.push(await roundTrip(store));
    for (const [name, options] of JSON.parse(settings!)) {
      Deno.env.set("VM_OIDC_CREDENTIALS_BACKEND", name);
      if (options) Deno.env.set("VM_OIDC_CREDENTIALS_BACKEND_KWARGS", JSON.stringify(options));
      else Deno.env.delete("VM_OIDC_CREDENTIALS_BACKEND_KWARGS");
      const trip = async () => results.push(await roundTrip((await loadBackendFromEnv())!));
      results.push(await failure(trip));
    }
    return results;
  },
  async words() {
    const parts = { action: "do it", reason: "it is a test", remedy: "Wait." };
    const errors = [
      new ApiError(parts, 500, "{}"),
      new CredentialsBackendError("backend_denied", parts),
    ];
    const shown = errors.map((error) => [error.name, Deno.inspect(error).split("\n")[0]]);
    const oidc = { issuer: ENTRY.issuer, clientId: ENTRY.client_id, interactive: false };
    const calls = [
      () => createSession({ issuer: oidc.issuer, clientid: "my-app" } as object),
      () => createSession({ ...oidc, credentialsBackend: new KvCredentialsBackend() }),
      () => new VaultCredentialsBackend({ mounts: 3 } as never),
      () => new KeychainCredentialsBackend().get(key),
    ];
    for (const call of calls) shown.push(await failure(call));
    const needs = await requiredPermissions({ model: "cl123", apiHost: ENTRY.issuer });
    return [shown, formatPermissionFlags(needs)];
  },
  cli: (...args) => runCli(args),
};

const [command = "signIn", ...args] = Deno.args;
console.log(JSON.stringify(await COMMANDS[command]!(...args)));
