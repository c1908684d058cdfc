import type { OidcCredentials } from "../../backends/oidc_credentials_backend.ts";
import { tokensOf } from "../support/entries.ts";
import { installKernel, type Notebook } from "../support/jupyter.ts";
import { startJsrRegistry } from "../support/jsr_registry.ts";
import { startOidcProvider } from "../support/oidc_provider.ts";
import { tempDir } from "../support/temp_home.ts";
import { startTrackingApi } from "../support/tracking_api.ts";

/** The notebook that README links to. */
const QUICKSTART = new URL("./quickstart.ipynb", import.meta.url);

/** A person's kernel, with the package at a registry, a provider and an API. */
export type NotebookWorld = Awaited<ReturnType<typeof startNotebookWorld>>;

/** Starts all that the notebook needs, outside the repository, so that its deno.json is not found. */
export async function startNotebookWorld() {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await tempDir());
  const registry = stack.use(await startJsrRegistry());
  const provider = stack.use(await startOidcProvider({ interval: 0.2 }));
  const api = stack.use(await startTrackingApi({ accepts: (bearer) => provider.isActive(bearer) }));
  const home = await installKernel(path, {
    ...registry.env,
    VM_OIDC_ISSUER: provider.issuer,
    VM_OIDC_CLIENT_ID: provider.clientId,
    VM_API_HOST: api.apiHost,
    VM_API_MODEL: "cl123",
  });
  const started = stack.move();
  return {
    home,
    provider,
    api,
    /** Puts a notebook into the home; gives its path. */
    async write(notebook: Notebook, name: string) {
      await Deno.writeTextFile(`${path}/${name}`, JSON.stringify(notebook));
      return `${path}/${name}`;
    },
    /** The stored tokens. */
    async tokens() {
      const text = await Deno.readTextFile(`${path}/.validmind/credentials.json`);
      return Object.values<OidcCredentials>(JSON.parse(text).credentials).flatMap(tokensOf);
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

/** The committed notebook. */
export async function quickstart(): Promise<Notebook> {
  return JSON.parse(await Deno.readTextFile(QUICKSTART));
}
