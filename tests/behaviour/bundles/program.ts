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
  migrateCredentials,
  MissingApiCredentialsError,
  MissingModelIdError,
  NullCredentialsBackend,
  type OidcCredentialsBackend,
  requiredPermissions,
  ValidMindAuthError,
} from "@validmind/auth";
import { EncryptedCredentialsBackend } from "@validmind/auth/backends/encrypted";
import { FallbackCredentialsBackend } from "@validmind/auth/backends/fallback";
import { KeychainCredentialsBackend } from "@validmind/auth/backends/keychain";
import { VaultCredentialsBackend } from "@validmind/auth/backends/vault";
import { runCli } from "@validmind/auth/cli";

const BACKENDS = [
  FileCredentialsBackend,
  MemoryCredentialsBackend,
  NullCredentialsBackend,
  KvCredentialsBackend,
  EncryptedCredentialsBackend,
  FallbackCredentialsBackend,
  KeychainCredentialsBackend,
  VaultCredentialsBackend,
];
const ENTRY = { issuer: "https://login.example.com", client_id: "my-app", access_token: "a" };
const STORED = { ...ENTRY, expires_at: "2099-01-01T00:00:00Z" };
const RANDOM = Uint8Array.from({ length: 32 }, (_, i) => i * 37 + 11);
const key = credentialKey(ENTRY.issuer, ENTRY.client_id);

/** A backend of somebody else's, in a class whose name a minifier may take. */
class Throwing implements OidcCredentialsBackend {
  readonly location = "nowhere";
  get(): undefined {
    throw new TypeError("secret");
  }
  put(): void {}
  delete(): void {}
}

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
    await backend.put(key, STORED);
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
  async start(issuer, clientId) {
    const session = await createSession({ issuer, clientId, interactive: false });
    return (await session.headers()).has("authorization");
  },
  async show() {
    const session = await createSession({ interactive: false });
    return [(await session.status()).backend, Deno.inspect(session)];
  },
  async signIn() {
    const session = await createSession({ interactive: true }); // by its own prompt
    return (await session.accessToken()).length > 0;
  },
  async browser() {
    const onAuthorizationUrl = ({ url }: { url: string }) => console.log(url);
    const session = await createSession({ flow: "browser", onAuthorizationUrl });
    return (await session.accessToken()).length > 0;
  },
  async refresh() {
    const session = await createSession({ interactive: false });
    const before = await session.accessToken();
    return before !== await session.accessToken({ forceRefresh: true });
  },
  async request() {
    const session = await init({ interactive: false, model: "cl123" });
    return [await session.get("ping") !== undefined, session.model];
  },
  async signOut() {
    return (await clearOidcCredentials({ revoke: true })).revocation;
  },
  async stores(folder) {
    const memory = () => new MemoryCredentialsBackend();
    const stores: OidcCredentialsBackend[] = [
      memory(),
      new FileCredentialsBackend({ path: `${folder}/one.json` }),
      new KvCredentialsBackend({ path: `${folder}/kv.db` }),
      new EncryptedCredentialsBackend({ backend: memory(), key: RANDOM }),
      new EncryptedCredentialsBackend({ backend: memory(), key: { backend: memory() } }),
      new FallbackCredentialsBackend({ backends: [memory(), memory()] }),
    ];
    const trips = [];
    for (const store of stores) trips.push(await roundTrip(store));
    const [from, to] = [memory(), memory()];
    from.put(key, STORED);
    return [trips, (await migrateCredentials(from, to)).copied];
  },
  async environment() {
    const backend = (await loadBackendFromEnv())!;
    return { ...await roundTrip(backend), known: BACKENDS.some((one) => backend instanceof one) };
  },
  async environments(settings) {
    const found = [];
    for (const [name, options] of JSON.parse(settings!)) {
      Deno.env.set("VM_OIDC_CREDENTIALS_BACKEND", name);
      Deno.env.set("VM_OIDC_CREDENTIALS_BACKEND_KWARGS", JSON.stringify(options));
      found.push(await COMMANDS.environment!());
    }
    return found;
  },
  ownClass: () =>
    failure(() =>
      createSession({
        issuer: ENTRY.issuer,
        clientId: ENTRY.client_id,
        interactive: false,
        credentialsBackend: new Throwing(),
      })
    ),
  foreignError: () => failure(async () => (await loadBackendFromEnv())!.get(key)),
  keychain: async () => [
    new KeychainCredentialsBackend().requiredPermissions(),
    await failure(() => new KeychainCredentialsBackend().get(key)),
  ],
  keychainTrip: async () => await roundTrip(new KeychainCredentialsBackend()),
  vault: async (options) => await roundTrip(new VaultCredentialsBackend(JSON.parse(options!))),
  async names() {
    const errors = [
      new ValidMindAuthError("api_error", "words"),
      new MissingApiCredentialsError("words"),
      new MissingModelIdError("words"),
      new ApiError("words", 500, "{}"),
      new CredentialsBackendError("backend_denied", "words"),
    ];
    const shown = errors.map((error) => [
      error.name,
      `${error}`,
      Deno.inspect(error).split("\n")[0],
      error instanceof ValidMindAuthError,
      error instanceof CredentialsBackendError,
    ]);
    const fallback = new FallbackCredentialsBackend({
      backends: [new MemoryCredentialsBackend(), new KvCredentialsBackend()],
    });
    await fallback.close();
    return [BACKENDS.map(({ name }) => name), shown, fallback.location];
  },
  async messages() {
    const of = (options: Record<string, unknown>) => failure(() => createSession(options));
    const oidc = { issuer: ENTRY.issuer, clientId: ENTRY.client_id, interactive: false };
    const { issuer } = oidc;
    return [
      await of({ issuer, clientid: "my-app" }),
      await of({ issuer }),
      await of({ ...oidc, credentialsBackend: {} }),
      await of({ ...oidc, credentialsBackend: new MemoryCredentialsBackend() }),
      await of({ ...oidc, credentialsBackend: new KvCredentialsBackend() }),
      (await COMMANDS.ownClass!() as string[])[0],
      await failure(() => new FileCredentialsBackend({ path: "" })),
      await failure(() => new VaultCredentialsBackend({ mounts: 3 } as never)),
      await failure(() => new EncryptedCredentialsBackend({} as never)),
    ];
  },
  permissions: async () =>
    formatPermissionFlags(await requiredPermissions({ model: "cl123", apiHost: ENTRY.issuer })),
  cli: (...args) => runCli(args),
};

COMMANDS.words = async () => [
  await COMMANDS.names!(),
  await COMMANDS.messages!(),
  await COMMANDS.permissions!(),
];

const [command = "", ...args] = Deno.args;
console.log(JSON.stringify(await COMMANDS[command]!(...args)));
