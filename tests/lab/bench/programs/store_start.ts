/** A start from a token in one of the stores. */
import {
  createSession,
  FileCredentialsBackend,
  KvCredentialsBackend,
  MemoryCredentialsBackend,
  type OidcCredentialsBackend,
} from "@validmind/auth";

const [issuer, clientId, name, path, key, entry] = Deno.args as [
  string,
  string,
  string,
  string,
  string,
  string,
];
const stores: Record<string, () => OidcCredentialsBackend | Promise<OidcCredentialsBackend>> = {
  memory: async () => {
    const memory = new MemoryCredentialsBackend();
    await memory.put(key, JSON.parse(entry));
    return memory;
  },
  file: () => new FileCredentialsBackend({ path: `${path}.json` }),
  kv: () => new KvCredentialsBackend({ path: `${path}.db` }),
  helper: async () => {
    const { HelperCredentialsBackend } = await import("@validmind/auth/backends/helper");
    return new HelperCredentialsBackend({ program: `${path}.sh` });
  },
  vault: async () => {
    const { VaultCredentialsBackend } = await import("@validmind/auth/backends/vault");
    return new VaultCredentialsBackend({ path: "users/anna" }); // the rest from the environment
  },
  keychain: async () => {
    const { KeychainCredentialsBackend } = await import("@validmind/auth/backends/keychain");
    return new KeychainCredentialsBackend();
  },
  encrypted: async () => {
    const { EncryptedCredentialsBackend } = await import("@validmind/auth/backends/encrypted");
    const backend = new FileCredentialsBackend({ path: `${path}.sealed.json` });
    return new EncryptedCredentialsBackend({ backend, key: { env: "KEY" } });
  },
};
const credentialsBackend = await stores[name]!();
if (entry !== undefined && name !== "memory") await credentialsBackend.put(key, JSON.parse(entry));
const session = await createSession({ issuer, clientId, credentialsBackend, interactive: false });
if (!(await session.headers()).has("authorization")) Deno.exit(1);
await credentialsBackend.close?.();
