import { createSession, type OidcCredentialsBackend } from "@validmind/auth";
import { ALL, type RunningDeno, startDeno } from "./deno_process.ts";
import type { MainOptions } from "./oidc_provider_main.ts";

/** The test provider in a process of its own. */
export class ProviderProcess {
  readonly #child: RunningDeno;
  issuer = "";
  clientId = "";

  private constructor(options: MainOptions) {
    const args = [JSON.stringify({ autoApprove: true, interval: 0.05, ...options })];
    const file = new URL("oidc_provider_main.ts", import.meta.url).href;
    this.#child = startDeno({ file, flags: ALL, args });
  }

  static async start(options: MainOptions = {}): Promise<ProviderProcess> {
    const provider = new ProviderProcess(options);
    return Object.assign(provider, JSON.parse(await provider.#child.line()));
  }

  /** How often a token was refreshed since the last question, and whether this one is active. */
  async ask(token: string): Promise<{ refreshes: number; isActive: boolean }> {
    await this.#child.write(`${token}\n`);
    return JSON.parse(await this.#child.line());
  }

  /** Signs a person in, so that the backend holds tokens. */
  async signIn(credentialsBackend: OidcCredentialsBackend, identity: { audience?: string } = {}) {
    const { issuer, clientId } = this;
    const options = { issuer, clientId, credentialsBackend, ...identity };
    await createSession({ ...options, onDeviceCode: () => {} });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.end();
    await this.#child[Symbol.asyncDispose]();
  }
}
