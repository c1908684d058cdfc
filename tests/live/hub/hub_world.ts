import { startJsrRegistry } from "../../support/jsr_registry.ts";
import { startOidcProvider, type TestOidcProvider } from "../../support/oidc_provider.ts";
import { freePort } from "../../support/servers/free_port.ts";
import { startTrackingApi, type TrackingApi } from "../../support/tracking_api.ts";
import { fillDenoDir, type HubFolder, makeHubFolder } from "./hub_folder.ts";
import { type Hub, type HubOptions, startHub } from "./hub_process.ts";
import { makeUnixUsers, type UnixUser } from "./unix_users.ts";

/** Options of {@linkcode startHubWorld}. */
export interface HubWorldOptions {
  /** A file of `recipes/`. */
  recipe: string;
  /** What the recipe needs besides, once the folder and the people are there. */
  prepare?: (folder: HubFolder, users: readonly UnixUser[]) => Promise<Partial<HubOptions>>;
}

/** A hub with its people, a provider that they sign in to, and an API. */
export interface HubWorld extends AsyncDisposable {
  readonly folder: HubFolder;
  readonly hub: Hub;
  readonly users: readonly UnixUser[];
  readonly provider: TestOidcProvider;
  readonly api: TrackingApi;
  /** The account of a person at the provider. */
  loginOf(user: UnixUser): string;
  /** Puts a file into a person's home. */
  write(user: UnixUser, name: string, text: string): Promise<void>;
}

/** Starts all of it, outside the repository, so that its deno.json is not found. */
export async function startHubWorld(options: HubWorldOptions): Promise<HubWorld> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await makeHubFolder());
  const users = stack.use(await makeUnixUsers(`${folder.path}/home`, 2)).all;
  await Promise.all(users.map(fillDenoDir));
  const registry = stack.use(await startJsrRegistry());
  const port = freePort();
  const listen = [freePort(), freePort()];
  const provider = stack.use(
    await startOidcProvider({
      interval: 0.2,
      configure({ clients }) {
        // The one address of everybody on the hub, for each of its ports.
        const uris = listen.map((own) =>
          `http://127.0.0.1:${port}/hub/user-redirect/proxy/${own}/callback`
        );
        Object.assign(clients![0]!, { redirect_uris: uris });
      },
    }),
  );
  const api = stack.use(await startTrackingApi({ accepts: (bearer) => provider.isActive(bearer) }));
  const { JSR_URL, DENO_NO_UPDATE_CHECK, NO_COLOR } = registry.env;
  const { environment, ...rest } = await options.prepare?.(folder, users) ?? {};
  const hub = stack.use(
    await startHub({
      folder,
      users,
      recipe: options.recipe,
      port,
      ...rest,
      environment: {
        JSR_URL: JSR_URL!,
        DENO_NO_UPDATE_CHECK: DENO_NO_UPDATE_CHECK!,
        NO_COLOR: NO_COLOR!,
        VM_OIDC_ISSUER: provider.issuer,
        VM_OIDC_CLIENT_ID: provider.clientId,
        VM_API_HOST: api.apiHost,
        VM_API_MODEL: "cl123",
        VM_OIDC_LISTEN: `127.0.0.1:${listen.join()}`,
        ...environment,
      },
    }),
  );
  const started = stack.move();
  return {
    folder,
    hub,
    users,
    provider,
    api,
    loginOf: ({ name }) => `${name}@example.com`,
    async write({ home, uid, gid }, name, text) {
      await Deno.writeTextFile(`${home}/${name}`, text);
      await Deno.chown(`${home}/${name}`, uid, gid);
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}
