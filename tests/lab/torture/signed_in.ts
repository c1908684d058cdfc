import {
  credentialKey,
  loadBackendFromEnv,
  type OidcCredentials,
  type OidcCredentialsBackend,
} from "@validmind/auth";
import type { MainOptions } from "../../support/oidc_provider_main.ts";
import { ProviderProcess } from "../../support/provider_process.ts";
import { withEnv } from "../../support/own_env.ts";
import type { Store } from "./store.ts";

/** A provider, and a sign-in to it in a store. */
export class SignedIn {
  readonly #key: string;

  /**
   * @param env The variables by which a process finds the store.
   * @param audience The audience of the sign-in, which tells it from others in the same store.
   */
  private constructor(
    readonly provider: ProviderProcess,
    readonly env: Readonly<Record<string, string>>,
    private readonly backend: OidcCredentialsBackend,
    readonly audience?: string,
  ) {
    this.#key = credentialKey(provider.issuer, provider.clientId, audience);
  }

  /** Signs in and runs `fn`, all in the environment of the store. */
  static async run<T>(
    { env }: Pick<Store, "env">,
    fn: (signedIn: SignedIn) => Promise<T>,
    options: MainOptions = {},
  ): Promise<T> {
    return await withEnv(env, async () => {
      await using provider = await ProviderProcess.start(options);
      const backend = await loadBackendFromEnv();
      if (backend === undefined) throw new Error("Cannot torture: the store has no backend");
      const signedIn = new SignedIn(provider, env, backend);
      try {
        await signedIn.signIn();
        return await fn(signedIn);
      } finally {
        await backend.close?.();
      }
    });
  }

  /** Signs in, again where a torture has ended the grant. */
  async signIn(): Promise<void> {
    const identity = this.audience === undefined ? {} : { audience: this.audience };
    await this.provider.signIn(this.backend, identity);
  }

  /** Signs in to another audience beside this one. */
  async signInBeside(audience: string): Promise<SignedIn> {
    const beside = new SignedIn(this.provider, this.env, this.backend, audience);
    await beside.signIn();
    return beside;
  }

  /** Makes the access token look expired. */
  async expire(): Promise<void> {
    const entry = await this.entry();
    await this.backend.put(this.#key, { ...entry, expires_at: "2020-01-01T00:00:00Z" });
  }

  /** The access token that is stored. */
  async token(): Promise<string> {
    return (await this.entry()).access_token;
  }

  /** What is stored. */
  async entry(): Promise<OidcCredentials> {
    const entry = await this.backend.get(this.#key);
    if (entry === undefined || entry === null) throw new Error("the entry is gone");
    return entry;
  }
}
