import { startDenokv } from "../support/servers/denokv_server.ts";
import { startVault } from "../support/servers/vault_server.ts";

/** A server under a store, which a torture kills. */
export interface StoreServer {
  kill(): Promise<void>;
  restart(): Promise<void>;
}

/** A store that processes share, chosen as a platform team would: by the environment. */
export interface Store extends AsyncDisposable {
  readonly env: Record<string, string>;
  /** Stores without one are files. */
  readonly server?: StoreServer;
}

/** Starts a store whose files, if it has any, lie in a folder. */
export type StartStore = (folder: string) => Store | Promise<Store>;

/** The stores that have a server. */
export const SERVER_STORES: Record<string, StartStore> = {
  denokv: async (folder) => {
    const server = await startDenokv({ folder });
    const env = { ...chosen("kv", { path: server.url }), DENO_KV_ACCESS_TOKEN: server.accessToken };
    return { env, server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  },
  vault: async (folder) => {
    const server = await startVault({ storage: `${folder}/vault` });
    const env = {
      ...chosen("vault", { path: "users/one" }),
      VAULT_ADDR: server.url,
      VAULT_TOKEN: server.rootToken,
    };
    return { env, server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  },
};

/** The credentials file. */
export const fileStore: StartStore = (folder) =>
  withoutServer(chosen("file", { path: `${folder}/credentials.json` }));

/** The stores that need no server. */
export const FILE_STORES: Record<string, StartStore> = {
  file: fileStore,
  kv: (folder) => withoutServer(chosen("kv", { path: `${folder}/credentials.kv` })),
};

function withoutServer(env: Record<string, string>): Store {
  return { env, [Symbol.asyncDispose]: () => Promise.resolve() };
}

function chosen(name: string, options: object): Record<string, string> {
  return {
    VM_OIDC_CREDENTIALS_BACKEND: name,
    VM_OIDC_CREDENTIALS_BACKEND_KWARGS: JSON.stringify(options),
  };
}
