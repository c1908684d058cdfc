import { MemoryCredentialsBackend } from "../../../backends/memory.ts";
import type { OidcCredentials } from "../../../backends/oidc_credentials_backend.ts";
import type { DeviceCode, SessionOptions } from "../../../client/session_options.ts";
import { rememberSecret } from "../../support/assert_no_secret.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { OwnEnv } from "../../support/own_env.ts";
import type { ClientKind, MatrixProvider, ProviderKind, TestClient } from "./provider.ts";

/** One client of a provider, an empty store, and options that join them. */
export class MatrixWorld implements Disposable {
  readonly clock = new FakeClock();
  readonly backend = new MemoryCredentialsBackend();
  /** The codes that the person was shown. */
  readonly codes: DeviceCode[] = [];
  readonly client: TestClient;
  /**
   * For `createSession`. The person approves while the first wait goes on; no time passes but that
   * of {@linkcode clock}.
   */
  readonly options: SessionOptions;
  /** Whether the person denies what is asked. */
  denies = false;
  readonly #env = new OwnEnv();

  constructor(
    readonly kind: ProviderKind,
    readonly provider: MatrixProvider,
    client: ClientKind = "public",
  ) {
    this.client = provider.client(client);
    const { clientId, clientSecret } = this.client;
    if (clientSecret !== undefined) rememberSecret(clientSecret);
    const answered = new Set<DeviceCode>();
    this.clock.onDelay = async () => {
      const code = this.codes.at(-1);
      if (code === undefined || answered.has(code)) return;
      answered.add(code);
      await provider.approve(code, { deny: this.denies });
    };
    this.options = {
      issuer: provider.issuer,
      clientId,
      credentialsBackend: this.backend,
      onDeviceCode: (code) => void this.codes.push(code),
      now: this.clock.now,
      delay: this.clock.delay,
    };
  }

  /** What is stored; an error when there is nothing, or more than one entry. */
  async stored(): Promise<OidcCredentials> {
    const [key, ...more] = await Array.fromAsync(this.backend.list());
    if (key === undefined || more.length > 0) throw new Error(`Stored: ${[key, ...more]}`);
    return this.backend.get(key)!;
  }

  [Symbol.dispose](): void {
    this.#env[Symbol.dispose]();
  }
}
