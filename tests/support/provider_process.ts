import { createSession, type OidcCredentialsBackend } from "@validmind/auth";
import { spawnModule } from "../torture/spawn_module.ts";
import { linesOf, type MainOptions } from "./oidc_provider_main.ts";

/** The test provider in a process of its own. */
export class ProviderProcess {
  readonly #child: Deno.ChildProcess;
  readonly #lines: AsyncGenerator<string>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  issuer = "";
  clientId = "";

  private constructor(options: MainOptions) {
    const args = ["--json", JSON.stringify({ autoApprove: true, interval: 0.05, ...options })];
    this.#child = spawnModule("../support/oidc_provider_main.ts", args, { stdin: "piped" });
    this.#lines = linesOf(this.#child.stdout);
    this.#input = this.#child.stdin.getWriter();
  }

  static async start(options: MainOptions = {}): Promise<ProviderProcess> {
    const provider = new ProviderProcess(options);
    const { value } = await provider.#lines.next();
    return Object.assign(provider, JSON.parse(value!));
  }

  /** How often a token was refreshed since the last question, and whether this one is active. */
  async ask(token: string): Promise<{ refreshes: number; isActive: boolean }> {
    await this.#input.write(new TextEncoder().encode(`${token}\n`));
    return JSON.parse((await this.#lines.next()).value!);
  }

  /** Signs a person in, so that the backend holds tokens. */
  async signIn(
    credentialsBackend: OidcCredentialsBackend,
    identity: { audience?: string } = {},
  ): Promise<void> {
    const { issuer, clientId } = this;
    const options = { issuer, clientId, credentialsBackend, ...identity };
    await createSession({ ...options, onDeviceCode: () => {} });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#lines.return(undefined);
    await this.#child.stderr.cancel();
    await this.#child.status;
  }
}
