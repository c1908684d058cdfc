import { startJsrRegistry } from "../../support/jsr_registry.ts";
import { startOidcProvider } from "../../support/oidc_provider.ts";
import { freePort } from "../../support/servers/free_port.ts";
import { type LiveNeed, liveTests } from "../../support/servers/live_tests.ts";
import { startTrackingApi } from "../../support/tracking_api.ts";
import { fillDenoDir, type HubFolder, makeHubFolder } from "./hub_folder.ts";
import { type HubOptions, startHub } from "./hub_process.ts";
import { makeUnixUsers, type UnixUser } from "./unix_users.ts";

/** The tests of a file, which share a hub; what is put on `stack` lives as long as they. */
export async function hubTests(...needs: LiveNeed[]) {
  const live = await liveTests("jupyterhub", "accounts", ...needs);
  const stack = new AsyncDisposableStack();
  live.afterAll(() => stack.disposeAsync());
  /** The hub asks the servers of a file at any time: one test opens what another one sees end. */
  const shared = { sanitizeOps: false, sanitizeResources: false };
  return {
    ...live,
    stack,
    test: (name: string, fn: Deno.TestDefinition["fn"]) => live.test(name, shared, fn),
  };
}

/** Two people with homes, outside the repository, so that its deno.json is not found. */
export async function makeHubPeople(stack: AsyncDisposableStack) {
  const folder = stack.use(await makeHubFolder());
  const users = stack.use(await makeUnixUsers(`${folder.path}/home`, 2)).all;
  await Promise.all(users.map(fillDenoDir));
  const { DENO_DIR: _, ...environment } = stack.use(await startJsrRegistry()).env;
  return { folder, users, port: freePort(), environment };
}

/** Options of {@linkcode startHubWorld}. */
export interface HubWorldOptions {
  /** A file of `recipes/`. */
  recipe: string;
  /** What the recipe needs besides, once the folder and the people are there. */
  prepare?: (folder: HubFolder, users: readonly UnixUser[]) => Promise<Partial<HubOptions>>;
}

/** A hub with its people, a provider that they sign in to, and an API. */
export type HubWorld = Awaited<ReturnType<typeof startHubWorld>>;

/** Starts all of it. */
export async function startHubWorld(options: HubWorldOptions) {
  await using stack = new AsyncDisposableStack();
  const { environment: common, ...people } = await makeHubPeople(stack);
  const { folder, users, port } = people;
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
  const { environment, ...rest } = await options.prepare?.(folder, users) ?? {};
  const hub = stack.use(
    await startHub({
      ...people,
      recipe: options.recipe,
      ...rest,
      environment: {
        ...common,
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
    /** The account of a person at the provider. */
    loginOf: ({ name }: UnixUser) => `${name}@example.com`,
    /** Puts a file into a person's home. */
    async write({ home, uid, gid }: UnixUser, name: string, text: string): Promise<void> {
      await Deno.writeTextFile(`${home}/${name}`, text);
      await Deno.chown(`${home}/${name}`, uid, gid);
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}
