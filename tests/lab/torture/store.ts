import { withEnv } from "../../support/own_env.ts";
import { startDenokv } from "../../support/servers/denokv_server.ts";
import { startVault } from "../../support/servers/vault_server.ts";

const KV_TOKEN = "DENO_KV_ACCESS_TOKEN";

/** A server under a store, which a torture kills. */
export interface StoreServer {
  readonly url: string;
  kill(): Promise<void>;
  restart(): Promise<void>;
}

/** A store that processes share, chosen as a platform team would: by the environment. */
export interface Store extends AsyncDisposable {
  readonly env: Record<string, string>;
  /** Stores without one are files. */
  readonly server?: StoreServer;
}

/** Runs `fn` where {@linkcode Store.env} holds. Child processes have to be given it. */
export async function inEnvOf<T>({ env }: Store, fn: () => Promise<T>): Promise<T> {
  const token = env[KV_TOKEN];
  // Deno reads this one from the process, past what stands in for `Deno.env`.
  if (token !== undefined) Deno.env.set(KV_TOKEN, token);
  return await withEnv(env, fn);
}

/** Starts a store whose files, if it has any, lie in a folder. */
export type StartStore = (folder: string) => Store | Promise<Store>;

/** The stores that have a server. */
export const SERVER_STORES: Record<string, StartStore> = {
  denokv: async (folder) => {
    const server = await startDenokv({ folder });
    const env = { ...chosen("kv", { path: server.url }), [KV_TOKEN]: server.accessToken };
    return { env, server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  },
  vault: (folder) => startVaultStore(folder),
};

async function startVaultStore(folder: string): Promise<Store> {
  const server = await startVault({ storage: `${folder}/vault` });
  const env = {
    ...chosen("vault", { path: "users/one" }),
    VAULT_ADDR: server.url,
    VAULT_TOKEN: server.rootToken,
  };
  return { env, server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** The credentials file. */
export const fileStore: StartStore = (folder) =>
  withoutServer(chosen("file", { path: `${folder}/credentials.json` }));

/** The stores that need no server. */
export const FILE_STORES: Record<string, StartStore> = {
  file: fileStore,
  kv: (folder) => withoutServer(chosen("kv", { path: `${folder}/credentials.kv` })),
};

/** The stores that need no server, and those that are made of them. */
export const LOCAL_STORES: Record<string, StartStore> = {
  ...FILE_STORES,
  encrypted: (folder) => {
    const backend = { name: "file", options: { path: `${folder}/credentials.json` } };
    const key = { env: "TORTURE_KEY" };
    const TORTURE_KEY = crypto.getRandomValues(new Uint8Array(32)).toBase64();
    return withoutServer({ ...chosen("encrypted", { backend, key }), TORTURE_KEY });
  },
  fallback: (folder) => {
    const backends = ["first", "second"].map((name) => ({
      name: "file",
      options: { path: `${folder}/${name}/credentials.json` },
    }));
    return withoutServer(chosen("fallback", { backends }));
  },
};

function withoutServer(env: Record<string, string>): Store {
  return { env, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** The variables that choose a built-in backend. */
export function chosen(name: string, options: object): Record<string, string> {
  return {
    VM_OIDC_CREDENTIALS_BACKEND: name,
    VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify(options),
  };
}
