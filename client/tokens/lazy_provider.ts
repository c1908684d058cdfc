import { Once } from "../../backends/common/once.ts";
import type { OidcIdentity } from "../options/identity.ts";
import type { Runtime } from "../options/runtime.ts";
import type { OidcProvider } from "../provider/oidc_provider.ts";

/** Loaded where a token is refreshed or revoked, or a person is asked. */
const loadProvider = () => import("../provider/oidc_provider.ts");

/** The provider of one identity, loaded at the first need. */
export class LazyProvider {
  readonly #identity: OidcIdentity;
  readonly #runtime: Runtime;
  readonly #provider = new Once<OidcProvider>();

  constructor(identity: OidcIdentity, runtime: Runtime) {
    this.#identity = identity;
    this.#runtime = runtime;
  }

  /** Whether it was needed already. */
  get isLoaded(): boolean {
    return this.#provider.kept !== undefined;
  }

  async get(): Promise<OidcProvider> {
    return await this.#provider.get(async () => {
      const { openProvider } = await loadProvider();
      return openProvider(this.#identity, this.#runtime);
    });
  }
}
