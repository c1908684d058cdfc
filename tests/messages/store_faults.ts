import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import { FileCredentialsBackend } from "../../backends/file.ts";
import { MemoryCredentialsBackend } from "../../backends/memory.ts";
import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";
import { VaultCredentialsBackend } from "../../backends/vault.ts";
import { startHttpServer } from "../support/http_server.ts";
import type { TestOidcProvider } from "../support/oidc_provider.ts";
import { oidcProviderWorld } from "../support/provider_world.ts";
import { json } from "../support/scripted_provider.ts";
import { freePort } from "../support/servers/free_port.ts";
import { tempDir } from "../support/temp_home.ts";
import type { Heard, MessageRow } from "./message_row.ts";
import { ENDED, inWorld, real, signIn, type World } from "./fault_rows.ts";

/** Starts a job whose token has ended, with a store of its own. */
async function jobWith(store: (folder: string) => OidcCredentialsBackend): Promise<Heard> {
  await using home = await tempDir();
  const run = (world: World<TestOidcProvider>) => {
    const credentialsBackend = store(home.path);
    return signIn(world, { credentialsBackend, interactive: false });
  };
  const { names, ...heard } = await inWorld(oidcProviderWorld(), run);
  return { ...heard, names: { ...names, [home.path]: "/home/ada" } };
}

/** A store that keeps text and does not parse it. */
class TextStore {
  get(): OidcCredentials {
    return '{"access_token":"…"}' as unknown as OidcCredentials;
  }
  put(): void {}
  delete(): void {}
}

/** Answers of a Vault. */
async function atVault(answer: () => Response): Promise<Heard> {
  await using vault = await startHttpServer(answer);
  const { names, ...heard } = await jobWith(() => vaultAt(vault.origin));
  return { ...heard, names: { ...names, [new URL(vault.origin).host]: "vault.example.com:8200" } };
}

function vaultAt(address: string): VaultCredentialsBackend {
  const auth = { method: "token", token: "hvs.a-token-of-mine" } as const;
  return new VaultCredentialsBackend({ address, path: "users/ada", auth, timeoutMs: 1500 });
}

/** A store in memory that has no place for what a sign-in brings. */
function fullStore(full: string): OidcCredentialsBackend {
  const memory = new MemoryCredentialsBackend();
  return {
    get: (key) => memory.get(key),
    put(key, entry) {
      if (key !== full) return memory.put(key, entry); // the probe
      throw new CredentialsBackendError(
        "backend_full",
        "Cannot write /home/ada/tokens: no space is left. Free some space.",
      );
    },
    delete: (key) => memory.delete(key),
  };
}

export const OF_STORE: MessageRow[] = [
  {
    what: "Another process keeps the lock",
    where: "file",
    hear: () =>
      inWorld(oidcProviderWorld(), async (world) => {
        await using home = await tempDir();
        const path = `${home.path}/tokens.json`;
        const holder = new FileCredentialsBackend({ path });
        await using _ = await signIn(world, { credentialsBackend: holder });
        await holder.put(world.key, { ...holder.get(world.key)!, expires_at: ENDED });
        const credentialsBackend = new FileCredentialsBackend({ path, lockTimeoutMs: 50 });
        try {
          await holder.withLock(world.key, () => signIn(world, { credentialsBackend }));
        } catch (error) {
          (error as Error).message = (error as Error).message.replaceAll(home.path, "/home/ada");
          throw error;
        }
      }),
  },
  {
    what: "An entry is none",
    where: "file",
    hear: () =>
      inWorld(oidcProviderWorld(), async (world) => {
        await using home = await tempDir();
        const path = `${home.path}/tokens.json`;
        const text = JSON.stringify({ version: 1, credentials: { [world.key]: "a token" } });
        await Deno.writeTextFile(path, text, { mode: 0o600 });
        const credentialsBackend = new FileCredentialsBackend({ path });
        try {
          await signIn(world, { credentialsBackend });
        } catch (error) {
          (error as Error).message = (error as Error).message.replaceAll(home.path, "/home/ada");
          throw error;
        }
      }),
  },
  {
    what: "A class of yours gives text in place of an entry",
    where: "a store of your own",
    hear: () => jobWith(() => new TextStore()),
  },
  real(
    "The store is full at the end of a sign-in",
    (world) => signIn(world, { credentialsBackend: fullStore(world.key) }),
  ),
  {
    what: "Vault does not answer",
    where: "Vault",
    hear: () => jobWith(() => vaultAt(`http://127.0.0.1:${freePort()}`)),
  },
  {
    what: "Vault is sealed",
    where: "Vault's words",
    hear: () => atVault(() => json({ errors: ["Vault is sealed"] }, 503)),
  },
];
